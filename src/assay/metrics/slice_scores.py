"""The deciding metric in each slice of the examples that prepare() names: a gain in the mean can hide a loss in a part.

Covers: the same test as for the verdict, slice by slice, and Holm's correction over them, so that where nothing changed
any slice is called a loss at most alpha of the time. Not covered: the table (`metrics.result_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.metrics import candidate_verdict, task_metrics
from assay.metrics.scored_arm import Ruler, Scored
from assay.stats import multiple_comparisons, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.sequential_testing import Look

Array = NDArray[Any]


@dataclass(frozen=True)
class SliceFinding:
    """One slice: `comparison` is None where the metric cannot be had there, and `reason` says why."""

    name: str
    examples: int
    comparison: Comparison | None
    p_holm: float | None = None
    reason: str = ""

    @property
    def lost(self) -> bool:
        """Whether it is a regression that holds in the whole family of slices."""
        found = self.comparison
        holds = found is not None and self.p_holm is not None and self.p_holm <= found.alpha
        return holds and found is not None and found.verdict == "regression"

    @property
    def verdict(self) -> str:
        """What holds in the whole family of slices."""
        if self.comparison is None or self.p_holm is None:
            return "inconclusive"
        alone = self.comparison.verdict
        return multiple_comparisons.decided(alone, self.p_holm, self.comparison.alpha, alone)


@dataclass(frozen=True)
class SliceJudge:
    """Everything that a slice is judged by: as the verdict was."""

    ruler: Ruler
    candidate: Scored
    baseline: Scored | None
    floor: Array | None  # predictions of the best floor, where it is the baseline
    test: str
    look: Look
    fixed: bool

    def findings(self, slices: Array) -> list[SliceFinding]:
        """One for each name in `slices` (N, K), in the order of names."""
        names = sorted(set(np.unique(slices).tolist()) - {""})
        found = [self._finding(name, np.flatnonzero((slices == name).any(axis=1))) for name in names]
        tested = [one.comparison for one in found if one.comparison is not None]
        adjusted = iter(multiple_comparisons.holm([one.p for one in tested]))
        return [one if one.comparison is None else replace(one, p_holm=next(adjusted)) for one in found]

    def _finding(self, name: str, rows: NDArray[np.int64]) -> SliceFinding:
        try:
            return SliceFinding(name, len(rows), self._compared(rows))
        except UsageError as error:
            return SliceFinding(name, len(rows), None, reason=error.problem)

    def _compared(self, rows: NDArray[np.int64]) -> Comparison | None:
        metric, candidate = self.ruler.metric, self._sliced(self.candidate, rows)
        if self.baseline is not None:
            before = self._sliced(self.baseline, rows)
            judged = candidate_verdict.against_baseline(candidate, before, metric, self.test, self.look, self.fixed)
            return judged.comparison
        if self.floor is None:
            raise UsageError("the floor has no predictions of single examples")
        value = {"floor": self._score(self.floor, rows, "the floor")}
        return candidate_verdict.against_floor(candidate, value, metric, self.test, self.look, self.fixed).comparison

    def _sliced(self, arm: Scored, rows: NDArray[np.int64]) -> Scored:
        """The arm with the metric of some examples alone; which replicates count is as for all of them."""
        scores = [
            {self.ruler.decides: self._score(row, rows, f"{arm.arm.arm} replicate {one.number}")} if known else {}
            for one, row, known in zip(arm.replicates, arm.predictions, arm.scores, strict=True)
        ]
        return replace(arm, scores=scores)

    def _score(self, predictions: Array, rows: NDArray[np.int64], who: str) -> float:
        targets = chosen(self.ruler.targets, rows)
        return task_metrics.score(self.ruler.metric, self.ruler.options, targets, predictions[rows], who)


def chosen(targets: Any, rows: NDArray[np.int64]) -> Any:
    """Targets of some examples."""
    if isinstance(targets, Mapping):
        return {name: array[rows] for name, array in targets.items()}
    return targets[rows]


def floor_predictions(
    floors: Mapping[str, Mapping[str, float]], predictions: Mapping[str, Array], ruler: Ruler
) -> Array | None:
    """Those of the best floor; None where there is no floor, or a person's score without any."""
    scores = {name: score[ruler.decides] for name, score in floors.items()}
    return predictions.get(verdict_rule.best(scores, ruler.metric.direction)) if scores else None
