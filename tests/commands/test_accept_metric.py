"""A metric that changes together with an idea: judged by the baseline's terms, and accepted only with a reason."""

from __future__ import annotations

import csv

import pytest

from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project

MODULE = "src/tasks/digits/metrics.py"
HALVED = "correct(targets, predictions).mean()", "correct(targets, predictions)[::2].mean()"


def column(project: Project, file: str, name: str) -> set[str]:
    with (project.root / f"results/{file}.csv").open(encoding="utf-8", newline="") as stream:
        return {row[name] for row in csv.DictReader(stream)}


def start_over(project: Project) -> None:
    project.git("checkout", "--quiet", "--force", "HEAD")


def test_a_smallest_effect_that_grew_with_the_idea_makes_nothing_equivalent(ready: Project) -> None:
    """-0.06 is no loss where 0.5 is the smallest effect; the baseline's is 0.005, and holds."""
    start_over(ready)
    ready.edit(MODULE, '"min_effect": 0.005', '"min_effect": 0.5')
    said = ready.dvc("exp", "run", "-n", "bad", "-S", "train.epochs=1").stdout
    assert ready.metrics["verdict"] in ("regression", "inconclusive"), said
    assert "metric changed against strategy/first: min_effect 0.005 → 0.5 (judged by the former)" in said
    assert column(ready, "replicates", "min_effect") == {"0.005"}
    assert column(ready, "rulers", "min_effect") == {"0.5", "0.01"}, "what the next strategy will stand with"
    done = ready.assay("accept", "bad", "simpler", "--allow", "equivalent", "--why", "same", ok=False)
    assert (done.returncode, "the verdict of bad is" in done.stderr) == (3, True)


def test_a_metric_that_changed_with_the_idea_needs_a_reason(ready: Project) -> None:
    """Half of the examples inside the metric: both arms are scored by it, and still it is another question."""
    start_over(ready)
    ready.edit(MODULE, *HALVED)
    ready.dvc("exp", "run", "-n", "half", "-S", "lr=0.02")
    assert ready.metrics["verdict"] == "progress"
    done = ready.assay("accept", "half", "half", ok=False)
    assert done.returncode == 3
    assert "the metric of half is not that of strategy/first: code of accuracy; allowed: the same" in done.stderr
    assert "next: --allow metric --why REASON" in done.stderr
    said = ready.assay("accept", "half", "half", "--allow", "metric", "--why", "odd rows repeat", "--dry-run").stdout
    assert "change against strategy/first: lr 0.003 → 0.02; metric: code of accuracy\n" in said


@pytest.mark.extra
def test_a_metric_that_changed_in_a_commit_of_its_own_is_named_in_evidence_and_log(ready: Project) -> None:
    start_over(ready)
    ready.edit(MODULE, "REVISION = 1", "REVISION = 2")
    alone = ready.commit("Another meaning of accuracy")
    ready.dvc("exp", "run", "-n", "anew", "-S", "lr=0.02")
    ready.assay("accept", "anew", "anew")
    found = fold(read(ready.root).tags).strategies["anew"].accepted
    assert found.changed == ["lr 0.003 → 0.02", f"metric: code of accuracy (commit {alone[:8]}, of its own)"]
    assert found.allowed == "" and "metric: code of accuracy" in ready.assay("log").stdout


@pytest.mark.extra
def test_against_the_floor_the_metric_is_that_of_the_commit_before(fresh: Project) -> None:
    """Once the new terms are committed they count, although no stage but `context` could see that; not for an idea
    that somebody looked at before."""
    fresh.edit(MODULE, '"min_effect": 0.005', '"min_effect": 0.9')
    said = fresh.dvc("repro").stdout
    assert fresh.metrics["verdict"] != "equivalent", "as 0.9 would have made it"
    assert "metric changed against the commit before: min_effect 0.005 → 0.9 (judged by the former)" in said
    fresh.commit("Gains below 0.9 do not matter")
    said = fresh.dvc("repro").stdout
    assert fresh.metrics["verdict"] != "equivalent" and column(fresh, "replicates", "min_effect") == {"0.005"}
    since = "metric changed since the first look at this idea: min_effect 0.005 → 0.9 (judged by the former)"
    assert since in said and "the commit before" not in said
    fresh.git("commit", "--quiet", "--all", "--message", "results")
    said = fresh.assay("accept", "main", "same", "--allow", "equivalent", "--why", "as good", "--dry-run").stdout
    assert "metric: min_effect 0.005 → 0.9 since the first look (judged by the former)" in said
    said = fresh.dvc("exp", "run", "-S", "lr=0.004").stdout
    assert fresh.metrics["verdict"] == "equivalent" and "metric changed" not in said, "another idea"
