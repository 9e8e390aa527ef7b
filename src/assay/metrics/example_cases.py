"""Cases: examples that a change fixed or broke, that no arm has right, that seeds disagree about.

An arm has an example right when more than half of its replicates do; a tie counts as wrong in either arm. Where the
deciding metric's `per_example` gives 0 or 1 alone, that is right or wrong; else the most probable class decides, where
predictions are a probability of each; all other scores are compared as better or worse. Covers: choosing, what luck
gives. Not covered: showing (`data.example_display`), the table results/cases.csv (`metrics.result_tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from assay.core.case_records import (
    BETTER,
    BROKEN,
    FIXED,
    MOST_SHOWN,
    SPLIT,
    WORSE,
    WRONG,
    CaseList,
    CaseRule,
    CasesRecord,
    ExampleCase,
    Luck,
    LuckRange,
    Predicted,
)
from assay.metrics import task_metrics
from assay.metrics.scored_arm import Array, Ruler, Scored
from assay.stats import expected_case_changes

Shares = NDArray[np.float64]
Rows = NDArray[np.integer]

#: predicted classes of an example that are named
MOST_CLASSES = 3
#: decimals of shares, scores and expected numbers in the record
DECIMALS = 4

NO_LISTS = "not applicable: metric {} has no per_example, and predictions are no probabilities of classes"
NO_COMMON_EXAMPLES = "vary has split: each replicate has validation examples of its own, and none stands for all"
NO_PREDICTIONS = "not applicable: a reported number has no predictions"


@dataclass(frozen=True)
class ComparedPredictions:
    """Predictions (R, N, …) of the replicates that count, of what there was before and of the candidate."""

    before: Array | None  # of a floor (1, N, …); None where there is nothing to compare with
    after: Array | None  # None where all replicates diverged
    against: str = ""  # name of what there was before
    seeds: bool = True  # whether what there was before has replicates of its own


@dataclass(frozen=True)
class CaseScores:
    """Both arms' scores of single examples, (R, N) each, for the replicates that count; None where there are none."""

    rule: CaseRule
    rule_text: str
    baseline: Shares | None
    candidate: Shares | None


@dataclass(frozen=True)
class FoundCases:
    """Which examples are in which list, by their rows in the validation part; most telling first."""

    ruler: Ruler
    scores: CaseScores
    classes: Sequence[str] | None
    compared: ComparedPredictions

    @cached_property
    def before(self) -> Shares | None:
        """Mean score (N,) over the baseline's replicates; a share where scores are 0 or 1."""
        return None if self.scores.baseline is None else self.scores.baseline.mean(axis=0)

    @cached_property
    def after(self) -> Shares | None:
        return None if self.scores.candidate is None else self.scores.candidate.mean(axis=0)

    @cached_property
    def lists(self) -> dict[str, Rows]:
        """Name → rows of examples."""
        if self.after is None or self.scores.rule == "none":
            return {}
        if self.scores.rule == "scores":
            return self._by_score(self.after)
        return self._by_right(self.after)

    def _by_right(self, after: Shares) -> dict[str, Rows]:
        now = after > 0.5
        before = after if self.before is None else self.before
        then, change = before > 0.5, np.abs(after - before)
        doubt = np.minimum(np.abs(after - 0.5), np.abs(before - 0.5))
        split = ((after > 0) & (after < 1)) | ((before > 0) & (before < 1))
        return {
            FIXED: self._ordered(now & ~then, -change),
            BROKEN: self._ordered(then & ~now, -change),
            WRONG: self._ordered(~now & ~then, after + before),
            SPLIT: self._ordered(split, doubt),
        }

    def _by_score(self, after: Shares) -> dict[str, Rows]:
        if self.before is None:
            return {}
        gain = (after - self.before) * (1 if self.ruler.metric.direction == "maximize" else -1)
        return {BETTER: self._ordered(gain > 0, -gain), WORSE: self._ordered(gain < 0, gain)}

    def _ordered(self, inside: NDArray[np.bool_], by: Shares) -> Rows:
        """Rows where `inside`, those of a small `by` first; ties in order of id, which no order of files changes."""
        rows = np.flatnonzero(inside)
        return rows[np.lexsort((self.ruler.ids[rows], np.round(by[rows], 9)))]

    @cached_property
    def shown(self) -> Rows:
        """Rows of the examples in the record, each once: at most so many of each list."""
        first = [rows[:MOST_SHOWN] for rows in self.lists.values()]
        every = np.concatenate([np.empty(0, dtype=np.int64), *first])
        return every[np.sort(np.unique(every, return_index=True)[1])]

    def luck(self) -> tuple[Luck | UnsetType, str | UnsetType]:
        """What two groups of one strategy would give, or why that is not known."""
        before, after = self.scores.baseline, self.scores.candidate
        if self.scores.rule != "right_or_wrong":
            return UNSET, "not applicable: examples are not right or wrong here"
        if before is None or after is None:
            return UNSET, "unknown: there is nothing to compare with"
        if not self.compared.seeds:
            return UNSET, f"unknown: {self.compared.against} has no seeds"
        right = np.rint(before.sum(axis=0)).astype(np.int64)
        found = expected_case_changes.expected(right, len(before), len(after))
        if found is None:
            least = expected_case_changes.MIN_REPLICATES
            return UNSET, f"unknown: {len(before)} and {len(after)} replicates, and it takes {least} in each arm"
        return Luck(_rounded(found.fixed), _rounded(found.broken)), UNSET

    def record(self, version: str) -> CasesRecord:
        """All of it but what examples look like."""
        luck, unknown = self.luck()
        count = [0 if each is None else len(each) for each in (self.compared.before, self.compared.after)]
        return CasesRecord(
            metric=self.ruler.decides,
            metric_version=version,
            rule=self.scores.rule,
            rule_text=self.scores.rule_text,
            examples=len(self.ruler.ids),
            against=self.compared.against,
            baseline_n=count[0] if self.compared.seeds else 0,
            candidate_n=count[1],
            lists=[self._list(name, rows) for name, rows in self.lists.items()],
            cases=[self._case(int(row)) for row in self.shown],
            luck=luck,
            luck_unknown=unknown,
            notes=[],
        )

    def _list(self, name: str, rows: Rows) -> CaseList:
        return CaseList(name, len(rows), [str(self.ruler.ids[row]) for row in rows[:MOST_SHOWN]])

    def _case(self, row: int) -> ExampleCase:
        assert self.after is not None
        return ExampleCase(
            id=str(self.ruler.ids[row]),
            after=_short(self.after[row]),
            before=UNSET if self.before is None else _short(self.before[row]),
            label=self._label(row),
            predicted_before=self._predicted(self.compared.before, row),
            predicted_after=self._predicted(self.compared.after, row),
        )

    def _label(self, row: int) -> str | UnsetType:
        targets = self.ruler.targets
        if isinstance(targets, dict) or np.ndim(targets) != 1:
            return UNSET
        return self._said(targets[row])

    def _said(self, value: Any) -> str:
        """A class by its name, a number as it is written."""
        known = self.classes is not None and 0 <= value < len(self.classes)
        return str(self.classes[int(value)]) if known and self.classes else f"{value:.6g}"

    def _predicted(self, predictions: Array | None, row: int) -> list[Predicted] | UnsetType:
        if predictions is None or np.ndim(self.ruler.targets) != 1:
            return UNSET
        made = predictions[:, row]
        if self.classes is not None and made.shape[1:] == (len(self.classes),):
            labels, counts = np.unique(made.argmax(axis=1), return_counts=True)
            order = np.lexsort((labels, -counts))[:MOST_CLASSES]
            return [Predicted(self._said(labels[at]), _short(counts[at] / len(made))) for at in order]
        if self.classes is None and made[0].size == 1:
            return [Predicted(f"{made.astype(np.float64).mean():.6g}", 1.0)]
        return UNSET


def find(
    ruler: Ruler,
    candidate: Scored,
    baseline: Scored | None,
    floor: tuple[str, Array] | None,
    classes: Sequence[str] | None,
) -> FoundCases:
    """The cases of an evaluation; without a baseline against `floor`: its name, and its predictions (N, …)."""
    after = candidate.finite if len(candidate.finite) else None
    if baseline is None and floor is not None:
        compared = ComparedPredictions(floor[1][None], after, f"floor {floor[0]}", seeds=False)
    elif baseline is not None and len(baseline.finite):
        compared = ComparedPredictions(baseline.finite, after, baseline.arm.name)
    else:
        compared = ComparedPredictions(None, after)
    return FoundCases(ruler, scores(ruler, compared, classes), classes, compared)


def scores(ruler: Ruler, compared: ComparedPredictions, classes: Sequence[str] | None) -> CaseScores:
    """How single examples are scored here, before and after, and by which rule they are told apart."""
    sides = {compared.against: compared.before, "the candidate": compared.after}
    own, highest = ruler.metric.per_example is not None, ruler.metric.direction == "maximize"
    found = [_own(ruler, made, who) if own else None for who, made in sides.items()]
    if own and all(_is_zero_or_one(each) for each in found):
        text = f"right: per_example of metric {ruler.decides} gives {1 if highest else 0}"
        right = [each if each is None or highest else 1 - each for each in found]
        return CaseScores("right_or_wrong", f"{text}, in more than half of the replicates", *right)
    if all(made is None or has_probabilities(made, ruler, classes) for made in sides.values()):
        right = [None if made is None else _right(made, ruler) for made in sides.values()]
        text = "right: the most probable class is the label, in more than half of the replicates"
        return CaseScores("right_or_wrong", text, *right)
    if own:
        more = "higher" if highest else "lower"
        text = f"better: the mean score by per_example of metric {ruler.decides} is {more}"
        return CaseScores("scores", f"{text}; examples are not right or wrong here", *found)
    return CaseScores("none", NO_LISTS.format(ruler.decides), None, None)


def has_probabilities(predictions: Array, ruler: Ruler, classes: Sequence[str] | None) -> bool:
    """Whether predictions (R, N, …) are a probability per class, and targets one class an example."""
    shape = predictions.shape[2:]
    return classes is not None and shape == (len(classes),) and np.ndim(ruler.targets) == 1


def _own(ruler: Ruler, predictions: Array | None, who: str) -> Shares | None:
    """Scores (R, N) by the metric's per_example."""
    if predictions is None:
        return None
    return np.stack([task_metrics.per_example(ruler.metric, ruler.targets, row, who) for row in predictions])


def without_predictions(metric: str, version: str) -> CasesRecord:
    """The record where a script reported its number."""
    return _nothing(metric, version, NO_PREDICTIONS)


def without_common_examples(metric: str, version: str) -> CasesRecord:
    """The record where each replicate has validation examples of its own."""
    return _nothing(metric, version, NO_COMMON_EXAMPLES)


def _nothing(metric: str, version: str, why: str) -> CasesRecord:
    return CasesRecord(
        metric=metric,
        metric_version=version,
        rule="none",
        rule_text=why,
        against="",
        examples=0,
        baseline_n=0,
        candidate_n=0,
        lists=[],
        cases=[],
        luck_unknown=why,
        notes=[],
    )


def _right(predictions: Array, ruler: Ruler) -> Shares:
    return np.asarray(predictions.argmax(axis=2) == ruler.targets, dtype=np.float64)


def _is_zero_or_one(given: Shares | None) -> bool:
    return given is None or bool(np.isin(given, (0.0, 1.0)).all())


def _rounded(found: expected_case_changes.CaseRange) -> LuckRange:
    return LuckRange(_short(found.expected), found.low, found.high)


def _short(value: Any) -> float:
    return round(float(value), DECIMALS)
