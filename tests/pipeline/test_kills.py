"""Ended at any moment, the next run gives the numbers of an undisturbed one. Fifty of these: benchmarks/."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support.kills import TRAINED, again, interrupted_in, left_after_kill, settle
from support.project import Project
from support.weights import digests

RUN = ("exp", "run", "-S", "seed=5")
#: stages of one run, and for how many seconds after their beginning it goes on
MOMENTS = (("context", 0.5), ("baseline", 1.0), (TRAINED, 0.2), ("train", 0.5), ("evaluate", 0.3))


@pytest.mark.extra
@pytest.mark.kill
def test_five_ends_in_a_row(project: Project, tmp_path: Path) -> None:
    disturbed = project.copy(tmp_path / "disturbed")
    project.dvc(*RUN)
    expected = digests(project), {**project.metrics, "commit": ""}
    disturbed.decides_as(project)

    head = disturbed.git("rev-parse", "HEAD")
    ends = ("kill group", "interrupt", "kill dvc", "kill dvc", "kill group")
    chance, ended = random.Random(20), list[bool]()
    for (stage, longest), end in zip(MOMENTS, ends, strict=True):
        command = RUN if all(ended) else (*RUN, "--force")  # one that was over too soon left nothing to do
        ended.append(interrupted_in(disturbed, command, stage, chance.uniform(0, longest), end))
    settle(disturbed)
    assert sum(ended) >= 2, "the runs were over before they could be ended"
    again(disturbed, RUN)
    assert (digests(disturbed), {**disturbed.metrics, "commit": ""}) == expected
    assert disturbed.git("rev-parse", "HEAD") == head, "HEAD may be detached, but not elsewhere"
    assert disturbed.git("rev-parse", "main") == head, "no branch moves"


@pytest.mark.extra
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
