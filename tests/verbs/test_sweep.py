"""`assay sweep`: one family, experiments that can be accepted, replicates trained together."""

from __future__ import annotations

import json
import re

import pytest

from assay.history.reading import read
from assay.judging.families import holm
from assay.verbs.sweep import combinations
from assay.words.errors import UsageError
from support.project import Project


def test_values_are_judged_as_a_family_and_trained_together(ready: Project) -> None:
    ready.git("stash", "--quiet")
    before = ready.git("status", "--porcelain")
    done = ready.assay("sweep", "-S", "lr=0.003,0.0029,0.011,1e30", "--json")
    found = json.loads(done.stdout)
    assert "trained 9 replicates of 4 settings together" in done.stderr, "those of the baseline's own are at hand"
    assert found["baseline"] == "strategy/first" and found["metric"] == "accuracy"
    tried = found["tried"]
    assert [one["settings"] for one in tried] == [["lr=0.003"], ["lr=0.0029"], ["lr=0.011"]]
    same, *tested = tried
    assert (same["verdict"], same["p_holm"]) == ("same", None), "the baseline itself is no idea"
    assert [one["p_holm"] for one in tested] == holm([*(one["p"] for one in tested), 1.0])[:2], "what failed was tried"
    assert list(found["failed"]) == ["lr=1e30"] and "all 3 replicates diverged" in found["failed"]["lr=1e30"]
    for one in tested:
        if one["verdict"] in ("progress", "regression"):
            assert one["p_holm"] <= 0.05
    kept = {item.name: item for item in read(ready.root).experiments}
    for one in tried:
        record = json.loads(ready.assay("compare", one["experiment"], "--json").stdout)
        assert (record["delta"], record["p"]) == (one["delta"], one["p"]), "each is an experiment of its own"
        assert ("the same strategy" in record["reason"]) == (one is same)
        assert kept[one["experiment"]].base == ready.git("rev-parse", "HEAD")
    assert ready.git("status", "--porcelain") == before
    again = ready.assay("sweep", "-S", "lr=0.003,0.0029,0.011,1e30")
    assert again.stderr.count("is measured: sweep-") == 3 and again.stderr.count("running") == 1
    assert "lr=1e30 does not run: " in again.stdout
    assert "against strategy/first" in again.stdout and "p (Holm)" in again.stdout


def test_combinations() -> None:
    assert combinations(["lr=1e-3,3e-3", "train.weight_decay=0,1e-4"]) == [
        ("lr=1e-3", "train.weight_decay=0"),
        ("lr=1e-3", "train.weight_decay=1e-4"),
        ("lr=3e-3", "train.weight_decay=0"),
        ("lr=3e-3", "train.weight_decay=1e-4"),
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "nothing makes 0 different combinations"),
        (["lr=0.1"], "lr=0.1 makes 1 different combinations"),
        (["lr=0.1,1e-1"], "makes 1 different"),
        (["lr=0.1,"], "-S lr=0.1, is no list of values"),
        (["model.sizes=[1,2],[3]"], "is no list of values"),
        (["lr=0.1,0.2", "lr=0.3"], "-S lr is given 2 times"),
        (["seed=" + ",".join(map(str, range(65)))], "makes 65 different combinations"),
    ],
)
def test_refusals(settings: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        combinations(settings)
