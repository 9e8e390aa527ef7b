"""The candidate trained beside the baseline: what its stage finds and tells."""

from __future__ import annotations

import json
import os
import shutil
import sys

import pytest

from support.project import Project

AFFINITY = hasattr(os, "sched_setaffinity")
#: start DVC on the first `sys.argv[1]` processors of those that are ours
ON = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
os.execv(sys.executable, [sys.executable, "-m", "dvc", *sys.argv[2:]])
"""
#: a seed that nothing was trained under
NEW = ("exp", "run", "-S", "seed=7")
#: more of them: on a busy machine a brief baseline may be done before the candidate begins
TRIES = range(8, 13)
two_processors = pytest.mark.skipif(
    not AFFINITY or len(os.sched_getaffinity(0)) < 2, reason="needs two processors that can be chosen"
)


def reused(project: Project, arm: str) -> set[bool]:
    record = json.loads(project.read(f"arms/{arm}.json"))
    return {one["reused"] for one in record["measurement"]["replicates"]}


def run_beside(project: Project) -> None:
    """A run on two processors whose candidate did train beside the baseline."""
    for seed in TRIES:
        project.run(sys.executable, "-c", ON, "2", "exp", "run", "-S", f"seed={seed}")
        assert reused(project, "baseline") == {False}
        if reused(project, "candidate") == {True}:
            return
    pytest.fail(f"in {len(TRIES)} runs no candidate began to train in time")


@pytest.mark.extra
@two_processors
def test_its_stage_finds_what_it_would_have_trained(project: Project) -> None:
    """Loudly: a task that prints more than any pipe holds. And the log tells of the training, wherever that was."""
    project.edit("src/tasks/digits/learning.py", "def loss(", "print('x' * 1_000_000)\n\n\ndef loss(")
    run_beside(project)
    log, found = project.read("results/candidate.log"), project.read("results/replicates.csv")
    assert "execution auto: " in log and "train loss" in log and "3 of 3 replicates were trained before" in log

    # Nobody asks for the candidate: its stage trains it, the same way, to the same numbers.
    for kept in (project.root / ".dvc/tmp/assay/replicates").glob("*/weights"):
        shutil.rmtree(kept.parent)
    project.dvc("repro", "--force", ASSAY_ALONE="1")
    assert reused(project, "candidate") == {False}
    assert project.read("results/replicates.csv") == found


@pytest.mark.extra
@pytest.mark.skipif(not AFFINITY, reason="needs processors that can be chosen")
def test_on_one_processor_each_stage_trains_its_own(project: Project) -> None:
    project.run(sys.executable, "-c", ON, "1", *NEW)
    assert reused(project, "candidate") == reused(project, "baseline") == {False}


@pytest.mark.skipif(not AFFINITY, reason="needs processors that can be chosen")
@pytest.mark.extra
def test_each_stage_says_why_it_trained_in_another_way(project: Project) -> None:
    """In what `dvc exp run` shows, once for each arm; and again where the cache has all of it."""
    said = project.run(sys.executable, "-c", ON, "1", *NEW, "-S", "machine.execution=processes").stdout
    note = ": trained one after another, not in processes: there is one processor"
    assert said.count(f"candidate{note}") == said.count(f"baseline{note}") == 1
    for stage, arm in (("train", "candidate"), ("baseline", "baseline")):
        again = project.stage(stage).stdout
        assert again.count(note) == again.count(f"{arm}{note}") == 1 and reused(project, arm) == {True}


def test_a_candidate_that_fails_is_its_own_stages_affair(project: Project) -> None:
    project.edit("src/tasks/digits/learning.py", "def loss(", "def loss(extra, ")
    failed = project.dvc(*NEW, ok=False)
    assert failed.returncode != 0 and failed.stderr.count("assay: ") == 1
    assert "assay: train: " in failed.stderr and "failed to reproduce 'train'" in failed.stderr
    assert json.loads(project.read("arms/baseline.json"))["measurement"]["replicates"][0]["number"] == 0


@two_processors
@pytest.mark.extra
def test_what_is_imported_unseen_is_told_wherever_it_trained(project: Project) -> None:
    """A helper under a computed name: the stage that takes the replicates from the cache never imports it."""
    (project.root / "src/tasks/digits/unseen.py").write_text("SHIFT = 0\n", encoding="utf-8")
    project.edit(
        "src/tasks/digits/learning.py",
        "def loss(outputs: Tensor, targets: Tensor) -> Tensor:\n",
        "def loss(outputs: Tensor, targets: Tensor) -> Tensor:\n"
        '    __import__("importlib").import_module("tasks.digits." + "unseen")\n',
    )
    run_beside(project)
    assert json.loads(project.read("arms/candidate.json"))["unproven"] == ["src/tasks/digits/unseen.py"]
