"""`assay profile`: the run is the run, and its seconds add up."""

from __future__ import annotations

import json

import pytest

from support.project import Project


@pytest.mark.extra
def test_where_the_seconds_go(project: Project) -> None:
    done = project.assay("profile", "--json", "-S", "lr=0.02", "-n", "timed")
    found = json.loads(done.stdout)
    assert "vs strategy/first" in done.stderr, "what the run prints is not lost, and not in the object"
    refs = project.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    assert any(ref.endswith("/timed") for ref in refs)
    named = {one["process"]: one for one in found["processes"]}
    assert list(named) == ["context", "train", "evaluate", "verdict"], "what is up to date has no row"
    train = named["train"]
    assert {"interpreter", "imports", "data", "training", "writing", "rest"} == set(train["phases"])
    assert sum(train["phases"].values()) == pytest.approx(train["seconds"])
    assert all(value >= 0 for one in named.values() for value in one["phases"].values())
    stages = sum(one["seconds"] for one in named.values())
    assert found["seconds"] == pytest.approx(found["dvc"] + stages) and found["dvc"] > 0
    text = project.assay("profile", "-S", "lr=0.02", "-f").stdout
    assert "  floors" in text and "whole run" in text


def test_a_run_that_fails(project: Project) -> None:
    done = project.assay("profile", "-S", "lr=-1", ok=False)
    assert done.returncode == 2 and "assay: dvc exp run ended with code 255; next: see the lines above" in done.stderr


def test_a_run_that_goes_on_elsewhere(project: Project) -> None:
    done = project.assay("profile", "--queue", ok=False)
    assert done.returncode == 2 and "--queue starts runs that go on beside each other" in done.stderr
