"""`vary` in a run: both arms are measured again under it, and the verdict says what it leaves out."""

from __future__ import annotations

import json

import pytest

from support.project import Project


def test_context_writes_it_where_stages_depend_on_it(fresh: Project) -> None:
    fresh.stage("context")
    assert "vary" not in json.loads(fresh.read("context/draw.json")), "the bytes of before"
    fresh.edit("params.yaml", "seed: 1 ", "vary: [dropout, init]\nseed: 1 ")
    fresh.stage("context")
    assert json.loads(fresh.read("context/draw.json"))["vary"] == ["init", "dropout"]
    fresh.edit("params.yaml", "vary: [dropout, init]", "vary: [splits]")
    assert "allowed: some of init, order, augment, dropout, split" in fresh.stage("context", ok=False).stderr


@pytest.mark.extra
def test_both_arms_are_measured_again(tried: Project) -> None:
    before = [row["seed"] for arm in ("baseline", "candidate") for row in tried.replicates(arm)]
    tried.edit("params.yaml", "seed: 1 ", "vary: [order]\nseed: 1 ")
    tried.dvc("exp", "run")
    after = [row["seed"] for arm in ("baseline", "candidate") for row in tried.replicates(arm)]
    assert set(before).isdisjoint(after) and tried.metrics["verdict"] != "incomparable"
    said = tried.read("results/verdict.txt")
    assert "replicates differ in order alone" in said and "begin with the same weights" not in said
    purposes = [
        json.loads(tried.read(f"arms/{arm}.json"))["measurement"]["purpose"] for arm in ("baseline", "candidate")
    ]
    assert all(purpose.endswith(" varying order") for purpose in purposes)
    assert tried.assay("status").returncode == 0
    assert "other seeds" not in tried.assay("status").stdout
