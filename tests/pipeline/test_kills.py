"""Ended at any moment, the next run gives the numbers of an undisturbed one. Fifty of these: benchmarks/."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support.kills import again, interrupted, left_after_kill, settle
from support.project import Project
from support.weights import digests

RUN = ("exp", "run", "-S", "seed=5")


@pytest.mark.kill
def test_five_ends_in_a_row(project: Project, tmp_path: Path) -> None:
    disturbed = project.copy(tmp_path / "disturbed")
    project.dvc(*RUN)
    expected = digests(project), {**project.metrics, "commit": ""}
    disturbed.decides_as(project)

    head = disturbed.git("rev-parse", "HEAD")
    moments = random.Random(20).sample(range(10, 60), 5)
    ends = ("kill group", "kill dvc", "interrupt", "kill dvc", "kill group")
    ended = [interrupted(disturbed, RUN, moment / 10, end) for moment, end in zip(sorted(moments), ends, strict=True)]
    settle(disturbed)
    assert sum(ended) >= 2, "the runs were over before they could be ended"
    again(disturbed, RUN)
    assert (digests(disturbed), {**disturbed.metrics, "commit": ""}) == expected
    assert disturbed.git("rev-parse", "HEAD") == head, "HEAD may be detached, but not elsewhere"
    assert disturbed.git("rev-parse", "main") == head, "no branch moves"


@pytest.mark.kill
def test_a_stage_does_not_outlive_dvc(project: Project) -> None:
    """Nor does the accepted strategy's own process: a training of minutes is gone within seconds."""
    project.edit("params.yaml", "epochs: 3", "epochs: 100000")
    project.edit("params.yaml", "seed: 1 ", "seed: 2 ")
    project.commit("a long one")
    project.tag("strategy/long")
    project.edit("params.yaml", "baseline: strategy/first", "baseline: strategy/long")
    for stage, processes in (("baseline", 2), ("train", 1)):
        if stage == "train":
            project.edit("params.yaml", "baseline: strategy/long", "baseline: strategy/first")
            project.git("checkout", "HEAD", "--", "dvc.lock")
        assert left_after_kill(project, stage, processes) == []
    settle(project)
