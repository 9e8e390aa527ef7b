"""Both arms at once: where they are trained, and what their stages find and tell."""

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
NEW = ("exp", "run", "-S", "seed=7", "-S", "lr=0.01")


def told(project: Project, arm: str) -> str:
    """How the replicates of an arm came about, as its log says first."""
    return project.read(f"results/{arm}.log").splitlines()[0]


def executions(project: Project) -> set[str]:
    records = (json.loads(project.read(f"arms/{arm}.json")) for arm in ("baseline", "candidate"))
    return {one["execution"] for record in records for one in record["measurement"]["replicates"]}


@pytest.mark.skipif(not AFFINITY or len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_on_two_processors_the_candidate_trains_beside_the_baseline(project: Project) -> None:
    project.run(sys.executable, "-c", ON, "2", *NEW)
    assert told(project, "candidate") == "trained ahead of this stage, beside the baseline:"
    assert told(project, "baseline").startswith("execution auto: ")
    found, how = project.read("results/replicates.csv"), executions(project)
    assert {row["replicate"] for row in project.replicates("candidate")} == {"0", "1", "2"}

    # Nobody asks for the candidate: its stage trains it, to the same numbers.
    shutil.rmtree(project.root / ".dvc/tmp/assay/replicates")
    project.dvc("repro", "--force", ASSAY_ALONE="1")
    assert told(project, "candidate").startswith("execution auto: ")
    if executions(project) == how:  # which way is the fastest is the machine's affair, and moves last bits
        assert project.read("results/replicates.csv") == found


@pytest.mark.skipif(not AFFINITY, reason="needs a system that binds processes to processors")
def test_on_one_processor_both_arms_are_lanes_of_one_training(project: Project) -> None:
    project.run(sys.executable, "-c", ON, "1", *NEW)
    assert executions(project) == {"fused"}
    for arm in ("baseline", "candidate"):
        assert told(project, arm) == "both arms were trained together, ahead of their stages:"

    # Another code, another training: the baseline trains its own, the candidate waits for its stage.
    project.edit("src/tasks/digits/learning.py", "def preprocess", "EXTRA = 1\n\n\ndef preprocess")
    project.run(sys.executable, "-c", ON, "1", *NEW, "-S", "seed=8")
    assert {told(project, arm)[:16] for arm in ("baseline", "candidate")} == {"execution auto: "}


def test_a_candidate_that_fails_beside_the_baseline_is_its_own_stages_affair(project: Project) -> None:
    project.edit("src/tasks/digits/learning.py", "def loss(", "def loss(extra, ")
    failed = project.dvc(*NEW, ok=False)
    assert failed.returncode != 0 and failed.stderr.count("assay: ") == 1
    assert "assay: train: " in failed.stderr and "failed to reproduce 'train'" in failed.stderr
    assert json.loads(project.read("arms/baseline.json"))["measurement"]["replicates"][0]["number"] == 0
