"""Candidate against baseline: may they be subtracted at all, are they different strategies, and what then.

Covers: the fields that must agree, the choice between a measured baseline and the best floor. Not covered:
statistics (`stats`), text (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assay.core.schemas import RECORD, UNRECORDED
from assay.metrics.scored_arm import Scored
from assay.metrics.task_metrics import Metric
from assay.stats import cautions, verdict_rule
from assay.stats.arm_comparison import Comparison, compare, entered
from assay.stats.sequential_testing import Look

#: verdicts that no test gave
INCOMPARABLE, SAME = "incomparable", "same"
PAIRED = "paired"
#: tests that one arm and a fixed value can have: nothing to pair with, or to permute
ALONE = ("welch", "student", "anytime")


@dataclass(frozen=True)
class Judgement:
    """A verdict, what it was given against, and the numbers behind it, if there are any."""

    verdict: str
    against: str
    comparison: Comparison | None
    reason: str = ""  # why nothing was tested
    mend: str = ""  # the command that makes it testable
    level: float | None = None  # that p was held against, None where there was no test
    recorded: bool = True  # False where the ledger could not take the look


def against_floor(
    candidate: Scored, floors: Mapping[str, float], metric: Metric, test: str, look: Look, fixed: bool = False
) -> Judgement:
    """Against the best floor, a fixed value: no seeds stand behind it. `fixed`: nor behind a task without chance."""
    best = verdict_rule.best(floors, metric.direction)
    test = test if test in ALONE else "welch"
    constant = fixed and _constant(candidate, metric)
    found = _compare(floors[best], candidate.values(metric.name), metric, test, look, (0, candidate.diverged), constant)
    return Judgement(found.verdict, f"floor {best}", _with_doubts(found, (candidate,), fixed, constant))


def untested(candidate: Scored, baseline: Scored | None) -> Judgement | None:
    """What is said where there is nothing to test; None where there is: then somebody is about to look."""
    if baseline is None:
        return None
    name = baseline.arm.name
    if differing := differences(baseline, candidate):
        return Judgement(INCOMPARABLE, name, None, "; ".join(differing), "dvc repro -f -s baseline && dvc exp run")
    if baseline.identity == candidate.identity:
        return Judgement(SAME, name, None, f"candidate and {name} are the same strategy; nothing was tested")
    return None


def unseen(against: str, names: Sequence[str], mend: str) -> Judgement:
    """No verdict: the metric read files that its version does not cover."""
    return Judgement(INCOMPARABLE, against, None, f"metrics.py reads {', '.join(names)}; {mend}")


def unrecorded(against: str, why: str) -> Judgement:
    """No verdict: nobody could be told later that somebody looked."""
    return Judgement("inconclusive", against, None, f"{UNRECORDED}: {why}", RECORD, recorded=False)


def against_baseline(
    candidate: Scored, baseline: Scored, metric: Metric, test: str, look: Look, fixed: bool = False
) -> Judgement:
    """Against the accepted strategy's own replicates, measured under the same ruler."""
    name = baseline.arm.name
    first, second = baseline.values(metric.name), candidate.values(metric.name)
    diverged = baseline.diverged, candidate.diverged
    if test == PAIRED:
        first, second = _matched(baseline, candidate, metric)
    placed = test == PAIRED and metric.worst is not None  # diverged ones are in their places already
    constant = fixed and any(_constant(arm, metric) for arm in (baseline, candidate))
    found = _compare(first, second, metric, test, look, (0, 0) if placed else diverged, constant)
    found = entered(found, diverged) if placed else found
    return Judgement(found.verdict, name, _with_doubts(found, (baseline, candidate), fixed, constant))


def _constant(arm: Scored, metric: Metric) -> bool:
    """Whether all replicates are one value: what a task without chance gives."""
    return len(set(arm.values(metric.name))) == 1 and not arm.diverged


def _with_doubts(found: Comparison, arms: Sequence[Scored], fixed: bool, constant: bool) -> Comparison:
    """With a caution for each arm whose replicates repeat each other although nobody said that they would."""
    doubts = [
        cautions.counted_once(arm.arm.arm, len(arm.replicates), len(arm.replicates) - len(arm.same_as))
        for arm in arms
        if arm.same_as and not constant
    ]
    if fixed and not constant:
        doubts.append("task.fixed is true, but replicates differ: they are judged as runs that chance moves")
    return replace(found, warnings=(*found.warnings, *doubts))


def differences(baseline: Scored, candidate: Scored) -> list[str]:
    """Fields that forbid a subtraction, each with both values."""
    first, second = baseline.arm, candidate.arm
    assert first.measurement and second.measurement
    pairs = {
        "environment": (first.environment.key, second.environment.key),
        "profile": (first.measurement.profile, second.measurement.profile),
        "evaluated examples": (first.evaluated, second.evaluated),
    }
    return [f"{field}: baseline {one}, candidate {other}" for field, (one, other) in pairs.items() if one != other]


def _compare(
    baseline: float | list[float],
    candidate: list[float],
    metric: Metric,
    test: str,
    look: Look,
    diverged: tuple[int, int],
    fixed: bool,
) -> Comparison:
    return compare(
        baseline,
        candidate,
        metric.direction,
        alpha=look.alpha,
        min_effect=metric.min_effect,
        test=test,
        diverged_baseline=diverged[0],
        diverged_candidate=diverged[1],
        worst=metric.worst,
        hold=look.hold,
        fixed=fixed,
        distinct=True,  # same predictions are counted once already; other ties are data
    )


def _matched(baseline: Scored, candidate: Scored, metric: Metric) -> tuple[list[float], list[float]]:
    """Values matched by number, as a paired design shares seeds: where a worst value is named it stands for a
    replicate that diverged, else only replicates that both arms finished count."""
    first, second = _by_number(baseline, metric), _by_number(candidate, metric)
    both = [number for number in first if number in second]
    return [first[number] for number in both], [second[number] for number in both]


def _by_number(arm: Scored, metric: Metric) -> dict[int, float]:
    scored = zip(arm.replicates, arm.scores, strict=True)
    values = {r.number: s[metric.name] if s else metric.worst for r, s in scored if r.number not in arm.same_as}
    return {number: value for number, value in values.items() if value is not None}
