"""The main job: a verdict against the floor, then against the accepted strategy."""

from __future__ import annotations

import json

import pytest

from support.project import Project


def test_candidate_is_measured_against_the_accepted_strategy(project: Project) -> None:
    assert project.metrics["verdict"] == "same"
    said = project.dvc("exp", "run", "-S", "lr=0.01").stdout
    metrics = project.metrics
    assert metrics["verdict"] == "progress", said
    assert "vs strategy/first" in said
    assert metrics["n"] == 3 and len(project.replicates("baseline")) == 3
    assert metrics["commit"] == project.git("rev-parse", "HEAD")
    seeds = {row["seed"] for arm in ("baseline", "candidate") for row in project.replicates(arm)}
    assert len(seeds) == 6, "the arms must draw seeds of their own"

    # dvc exp show has it, in few columns.
    shown = json.loads(project.dvc("exp", "show", "--json").stdout)
    experiment = shown[1]["experiments"][0]["revs"][0]["data"]
    values = experiment["metrics"]["results/metrics.json"]["data"]
    assert list(experiment["metrics"]) == ["results/metrics.json"]
    assert values["verdict"] == "progress" and values["metric_version"].startswith("accuracy-1.")
    assert len(values) <= 15 and values["level"] == 0.04


@pytest.mark.extra
def test_a_group_says_that_its_replicates_were_made_in_different_ways(project: Project) -> None:
    """Three were kept, three more train as lanes; the arm that is all alike is not named."""
    alone = project.dvc("exp", "run", "-S", "lr=0.01", "-S", "machine.execution=sequential").stdout
    assert "different ways" not in alone
    said = project.dvc("exp", "run", "-S", "replicates=6", "-S", "machine.execution=fused").stdout
    assert "caution: candidate: replicates made in different ways: 3 sequential, 3 fused" in said
    ways = {row["execution"] for row in project.replicates("baseline")}
    assert ("caution: baseline: replicates made" in said) == (len(ways) > 1)


def test_evaluate_says_what_changed_and_that_it_was_bundled(project: Project) -> None:
    learning = "src/tasks/digits/learning.py"
    project.edit(learning, "nn.ReLU()", "nn.Tanh()")
    said = project.dvc("exp", "run", "-S", "lr=0.01").stdout
    assert "changed against strategy/first: lr 0.003 → 0.01 · code: " + learning + " +1 −1 · 2 changes bundled" in said
