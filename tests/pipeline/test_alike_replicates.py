"""Replicates whose seed does not reach the training: the same predictions, bit for bit, are one replicate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.project import Project


def repeat(project: Project, arm: str, rows: list[int]) -> None:
    """Give the arm the predictions of `rows` instead of its own."""
    path = project.root / f"predictions/{arm}/predictions.npy"
    found = np.load(path)
    np.save(path, found[rows])


@pytest.mark.extra
def test_what_ignores_its_seed_counts_once(tried: Project) -> None:
    repeat(tried, "candidate", [0, 0, 2])
    said = tried.judged()
    assert tried.metrics["n"] == 2
    assert "caution: candidate: only 2 of 3 replicates differ in their predictions, and n counts those" in said
    assert [row["same_as"] for row in tried.replicates("candidate")] == ["", "0", ""]

    repeat(tried, "candidate", [0, 0, 0])
    repeat(tried, "baseline", [1, 1, 1])
    said = tried.judged()
    assert (tried.metrics["verdict"], tried.metrics["n"]) == ("inconclusive", 1)
    assert "only 1 of 3 replicates differ" in said
    assert "set task.fixed: true" in said
    assert "new examples: no interval" in said
    tried.commit("as a script that ignores its seed would have it")
    found = json.loads(tried.assay("compare", "HEAD", "--json").stdout)
    assert (found["verdict"], found["candidate"]["n"]) == ("inconclusive", 1)
    tried.edit("params.yaml", "name: digits", "name: digits\n  fixed: true\n #")
    tried.commit("said after the run")
    assert json.loads(tried.assay("compare", "HEAD", "--json").stdout)["verdict"] == "inconclusive"
    tried.edit("params.yaml", "  fixed: true\n #", "")

    tried.edit("params.yaml", "name: digits", "name: digits\n  fixed: true\n #")
    said = tried.judged()
    assert tried.metrics["verdict"] in ("progress", "regression", "equivalent")
    assert "exactly: both are fixed values" in said
    assert "caution" not in said
    tried.commit("no chance by design")
    found = json.loads(tried.assay("compare", "HEAD", "--json").stdout)
    assert (found["verdict"], found["candidate"]["fixed"]) == (tried.metrics["verdict"], True)
    tried.edit("params.yaml", "  fixed: true\n #", "")
    tried.commit("an edit after the run")
    assert json.loads(tried.assay("compare", "HEAD", "--json").stdout) == found, "the run's record says it"


def test_a_fixed_task_whose_replicates_differ_is_judged_as_it_is(tried: Project) -> None:
    before = tried.metrics
    record = json.loads(tried.read("arms/candidate.json"))
    record["measurement"]["notes"].append({"text": "replicates begin with the same weights", "kind": "caution"})
    (tried.root / "arms/candidate.json").write_text(json.dumps(record), encoding="utf-8")
    tried.edit("params.yaml", "name: digits", "name: digits\n  fixed: true\n #")
    said = tried.judged()
    assert {key: tried.metrics[key] for key in ("verdict", "p", "n")} == {
        key: before[key] for key in ("verdict", "p", "n")
    }
    assert "caution: task.fixed is true, but replicates differ" in said
    assert "caution: candidate: replicates begin with the same weights" in said
