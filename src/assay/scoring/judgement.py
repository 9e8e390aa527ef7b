"""Candidate against baseline: may they be subtracted at all, are they different strategies, and what then.

Covers: the fields that must agree, the choice between a measured baseline and the best floor. Not covered:
statistics (`judging`), text (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.judging.compare import Comparison, compare
from assay.judging.sequential import Look
from assay.scoring.arm import Scored
from assay.scoring.ruler import Metric

#: verdicts that no test gave
INCOMPARABLE, SAME = "incomparable", "same"
PAIRED = "paired"


@dataclass(frozen=True)
class Judgement:
    """A verdict, what it was given against, and the numbers behind it, if there are any."""

    verdict: str
    against: str
    comparison: Comparison | None
    reason: str = ""  # why nothing was tested
    mend: str = ""  # the command that makes it testable


def best_floor(floors: Mapping[str, float], metric: Metric) -> str:
    """Name of the floor that is hardest to beat."""
    pick = max if metric.direction == "maximize" else min
    return pick(floors, key=lambda name: floors[name])


def against_floor(candidate: Scored, floors: Mapping[str, float], metric: Metric, test: str, look: Look) -> Judgement:
    """Against the best floor, a fixed value: no seeds stand behind it."""
    best = best_floor(floors, metric)
    test = "welch" if test == PAIRED else test  # nothing to pair with
    found = _compare(floors[best], candidate.values(metric.name), metric, test, look, (0, candidate.diverged))
    return Judgement(found.verdict, f"floor {best}", found)


def against_baseline(candidate: Scored, baseline: Scored, metric: Metric, test: str, look: Look) -> Judgement:
    """Against the accepted strategy's own replicates, measured under the same ruler."""
    name = baseline.arm.name
    if differing := differences(baseline, candidate):
        return Judgement(INCOMPARABLE, name, None, "; ".join(differing), "dvc repro -f -s baseline && dvc exp run")
    if baseline.identity == candidate.identity:
        return Judgement(SAME, name, None, f"candidate and {name} are the same strategy; nothing was tested")
    first, second = baseline.values(metric.name), candidate.values(metric.name)
    if test == PAIRED:
        first, second = _matched(baseline, candidate, metric.name)
    found = _compare(first, second, metric, test, look, (baseline.diverged, candidate.diverged))
    return Judgement(found.verdict, name, found)


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
    )


def _matched(baseline: Scored, candidate: Scored, metric: str) -> tuple[list[float], list[float]]:
    """Values of the replicates that both arms finished, matched by number: a paired design shares seeds."""
    first, second = _by_number(baseline, metric), _by_number(candidate, metric)
    both = [number for number in first if number in second]
    return [first[number] for number in both], [second[number] for number in both]


def _by_number(arm: Scored, metric: str) -> dict[int, float]:
    return {r.number: found[metric] for r, found in zip(arm.replicates, arm.scores, strict=True) if found}
