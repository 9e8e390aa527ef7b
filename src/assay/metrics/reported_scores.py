"""Numbers that scripts reported, as arms under a ruler: its metric, and the replicates of a record.

Covers: runs that are all alike. Not covered: the key (`metrics.version.reported_version`), how a script came to its
number (`assay.script`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from msgspec import UNSET

from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Measurement, Replicate
from assay.metrics.candidate_verdict import Judgement
from assay.metrics.result_files import Evaluated
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.task_metrics import Array, Metric


def metric(params: Params) -> Metric:
    """The script's number as a metric, which nothing here computes."""
    result = params.task.reported
    return Metric(params.metric.name, _nothing, result.direction, result.min_effect, result.worst)


def _nothing(*_given: Array) -> float:
    raise UsageError("a reported number has no predictions to compute it from", hint="dvc exp run")


def ruler(params: Params) -> Ruler:
    """The ruler that every line names: one metric, no examples."""
    nothing = np.zeros(0)
    return Ruler({params.metric.name: metric(params)}, params.metric.name, {}, nothing.astype(np.str_), nothing)


def same_as(replicates: Sequence[Replicate]) -> dict[int, int]:
    """Replicate → the first one, where all said the same: a script that ignores its seed. Some equal numbers are data,
    as a metric on a grid has them."""
    numbers = [one.number for one in replicates if one.reported is not UNSET]
    alike = len({one.reported for one in replicates}) == 1 and len(numbers) == len(replicates)
    return dict.fromkeys(numbers[1:], numbers[0]) if alike else {}


class ReportedArm(Scored):
    """An arm whose replicates reported one number each; `predictions` (R, 1) are these numbers."""

    @cached_property
    def same_as(self) -> dict[int, int]:
        """Replicate → the first one, where all said the same."""
        return same_as(self.replicates)


def evaluated(
    rulers: tuple[Ruler, Ruler],
    version: str,
    arms: tuple[ReportedArm, ReportedArm | None],
    floors: Mapping[str, Mapping[str, float]],
    judged: Judgement,
    params: Params,
) -> Evaluated:
    """What an evaluation found; `rulers`: today's own, and the one whose terms judge."""
    own, today = rulers
    return Evaluated(
        ruler=today,
        own=own.metrics,
        versions={own.decides: version},
        packages="",
        unseen=(),
        profile=params.profile,
        commit="",
        classes=None,
        candidate=arms[0],
        baseline=arms[1],
        floors=floors,
        floor_predictions={},
        absent_floors={},
        judgement=judged,
        slices=(),
        fixed=params.task.fixed,
    )


def load(layout: ProjectPaths, arm: Arm, params: Params) -> ReportedArm | None:
    """The arm as its record has it; None for the floor, and for a script that could not be measured."""
    return None if arm.measurement is None else _scored(layout, arm, arm.measurement, params)


def _scored(layout: ProjectPaths, arm: Arm, measured: Measurement, params: Params) -> ReportedArm:
    if any(one.reported is UNSET and one.diverged is None for one in measured.replicates):
        raise UsageError(
            f"{layout.record(arm.arm)} holds replicates without a number", hint=f"dvc repro -f -s {_stage(arm.arm)}"
        )
    values = [math.nan if one.reported is UNSET else one.reported for one in measured.replicates]
    scores = [
        {} if one.diverged else {params.metric.name: value}
        for one, value in zip(measured.replicates, values, strict=True)
    ]
    return ReportedArm(arm, measured.replicates, np.array(values)[:, None], scores)


def _stage(arm: str) -> str:
    return "train" if arm == "candidate" else arm
