"""What both arms cost, as their records have it."""

from __future__ import annotations

from collections.abc import Iterator

from assay.core.schemas import Replicate
from assay.metrics.scored_arm import Scored
from assay.stats.training_cost import Expense


def of_both(baseline: Scored, candidate: Scored) -> Iterator[Expense]:
    """Prices that both arms have. Seconds of trainings that were made in different ways say nothing of each other."""
    before, after = _finished(baseline), _finished(candidate)
    if before and after and {one.execution for one in before} == {one.execution for one in after}:
        yield Expense("training time", "s a replicate", _seconds(before), _seconds(after))
        if all(one.inference for one in (*before, *after)):
            whole = min(_predicting(before, baseline), _predicting(after, candidate))
            yield Expense("inference time", "s an example", _inference(before), _inference(after), whole)
    old, new = (arm.arm.measurement.weights if arm.arm.measurement else None for arm in (baseline, candidate))
    if old is not None and new is not None:
        yield Expense("weights", "numbers", old, new)


def _finished(arm: Scored) -> list[Replicate]:
    return [one for one in arm.replicates if one.diverged is None]


def _inference(replicates: list[Replicate]) -> float:
    return sum(one.inference or 0.0 for one in replicates) / len(replicates)


def _predicting(replicates: list[Replicate], arm: Scored) -> float:
    """Seconds that predicting took in all."""
    return _inference(replicates) * len(replicates) * int(arm.predictions.shape[1])


def _seconds(replicates: list[Replicate]) -> float:
    return sum(one.seconds for one in replicates) / len(replicates)
