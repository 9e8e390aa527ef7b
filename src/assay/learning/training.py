"""How the replicates of a plan are trained: one after another, together, or in processes."""

from __future__ import annotations

from collections.abc import Sequence

from assay.learning import loop, replicas
from assay.learning.loop import Plan
from assay.learning.outcome import Outcome
from assay.learning.progress import Progress
from assay.learning.sequential import Sequential


def run(plan: Plan, numbers: Sequence[int], execution: str, progress: Progress, notes: list[str]) -> list[Outcome]:
    """Train the replicates `numbers`; their outcomes in that order."""
    return [_alone(plan, number, progress) for number in numbers]


def _alone(plan: Plan, number: int, progress: Progress) -> Outcome:
    masks = replicas.masks(plan, [number])
    engine = Sequential(plan.task, [replicas.module(plan, number, masks)], plan.params, masks)
    return loop.train(plan, engine, [number], progress)[0]
