"""`assay.compare`: is the candidate better than the baseline, or lucky?

Covers: two lists of numbers, one per replicate, to a verdict with everything that belongs beside it. Not
covered: whether the two may be compared at all (`rulers`), new examples (`crossed`), several looks
(`sequential`), several comparisons (`families`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from assay.judging import cautions, design, divergence, order_effect, verdict
from assay.judging.inference import Inference, Test, difference, infer
from assay.judging.samples import LARGEST, Sample, Values, exponent, sample
from assay.words.errors import UsageError


@dataclass(frozen=True)
class ArmSummary:
    """One side of a comparison. `sd` is None below two runs, `mean` without a finite one."""

    mean: float | None
    sd: float | None
    n: int  # finite replicates, and diverged ones that entered as the worst value
    diverged: int
    fixed: bool  # a known number, such as a floor, and no sample


@dataclass(frozen=True)
class Comparison:
    """candidate - baseline in the metric's units. Every probability is two-sided unless it says otherwise."""

    verdict: verdict.Verdict
    delta: float | None  # None where an arm has no finite replicate
    ci: tuple[float, float]  # infinite where nothing can be said
    p: float
    no_regression: bool  # a loss of min_effect or more is outside the interval
    baseline: ArmSummary
    candidate: ArmSummary
    direction: str
    min_effect: float
    alpha: float
    method: str
    df: float | None
    smallest_p: float  # that data of this size can give; 0 where there is no such floor
    effect_sd: float | None  # delta in standard deviations (root mean of the two variances)
    superiority: float | None  # chance that a candidate run beats a baseline run, ties counting half
    n_needed: int | None  # runs per arm that find min_effect with 80 % power; None without one
    min_detectable_effect: float | None  # true difference found with 80 % power at this n
    entered: bool  # diverged replicates are in the numbers, as the worst value
    fisher_p: float | None  # of equal divergence; None where nothing diverged
    correlation: float | None  # between the arms of a paired design
    reason: str  # why the verdict is held back; "" where it is not
    warnings: tuple[str, ...]

    @property
    def diverged_baseline(self) -> int:
        return self.baseline.diverged

    @property
    def diverged_candidate(self) -> int:
        return self.candidate.diverged


def compare(
    baseline: float | Sequence[float] | Values,
    candidate: float | Sequence[float] | Values,
    direction: str = "maximize",
    paired: bool = False,
    alpha: float = 0.05,
    min_effect: float = 0.0,
    *,
    test: str = "welch",
    diverged_baseline: int = 0,
    diverged_candidate: int = 0,
    worst: float | None = None,
    hold: str = "",
) -> Comparison:
    """The verdict on candidate against baseline: (n,) and (m,) values, one per finite replicate.

    A bare number on one side is a fixed value, such as a floor. `min_effect` is the smallest difference
    that matters, in the metric's units. `test` is welch (default), student, paired (the same seeds in the same
    order on both sides; also `paired=True`) or permutation. Diverged replicates are counted, and hold the
    verdict back unless `worst` is the value that each of them enters as; in a paired design their place
    matters, so there the caller puts the worst value into the list, or the verdict stays held back. `hold`:
    a reason known to the caller why no verdict may be read (`sequential.look`).

    Raises UsageError naming the argument that cannot be used.
    """
    chosen = _test(test, paired)
    verdict.sign(direction)
    _check_numbers(alpha, min_effect)
    entering = None if chosen == "paired" else worst
    arm_b = sample("baseline", baseline, diverged_baseline, entering)
    arm_c = sample("candidate", candidate, diverged_candidate, entering)
    _check_fit(arm_b, arm_c, chosen)
    power_of_two = exponent(arm_b.values, arm_c.values)
    scaled_b, scaled_c = arm_b.scaled(power_of_two), arm_c.scaled(power_of_two)
    if entering is not None:  # they are in the numbers now, and no longer missing
        scaled_b, scaled_c = Sample(scaled_b.values, 0, arm_b.fixed), Sample(scaled_c.values, 0, arm_c.fixed)
    found = infer(scaled_b, scaled_c, chosen, alpha)
    smallest = math.ldexp(min_effect, power_of_two)
    reason = hold or _held_back(found, scaled_b, scaled_c, direction, smallest)
    word: verdict.Verdict = "inconclusive"
    if not reason:
        word = verdict.verdict(*found.ends, direction, smallest)
    planned = design.plan(scaled_b, scaled_c, chosen, alpha)
    finite = min(arm_b.n, arm_c.n) > 0
    delta = difference(scaled_b, scaled_c) if finite else None
    detectable = design.detectable(planned, scaled_c.n, alpha)
    return Comparison(
        verdict=word,
        delta=_back(delta, power_of_two),
        ci=(math.ldexp(found.low, -power_of_two), math.ldexp(found.high, -power_of_two)),
        p=found.p,
        no_regression=not reason and verdict.no_regression(*(found.safe or found.ends), direction, smallest),
        baseline=_summary(arm_b, scaled_b, power_of_two),
        candidate=_summary(arm_c, scaled_c, power_of_two),
        direction=direction,
        min_effect=min_effect,
        alpha=alpha,
        method=found.method,
        df=found.df,
        smallest_p=found.smallest_p,
        effect_sd=_effect(delta, scaled_b, scaled_c),
        superiority=superiority(arm_b.values, arm_c.values, direction) if finite else None,
        n_needed=design.n_needed(planned, smallest, alpha),
        min_detectable_effect=_back(detectable, power_of_two),
        entered=entering is not None,
        fisher_p=_fisher(arm_b, arm_c, entering is not None),
        correlation=_correlation(scaled_b, scaled_c) if chosen == "paired" else None,
        reason=reason,
        warnings=(
            *cautions.cautions(scaled_b, scaled_c, chosen, word != "inconclusive"),
            *order_effect.cautions(_in_order(arm_b, scaled_b), _in_order(arm_c, scaled_c), chosen),
        ),
    )


def entered(found: Comparison, diverged: tuple[int, int]) -> Comparison:
    """`found` with the numbers of diverged replicates (baseline, candidate) that the caller entered in their places."""
    baseline, candidate = replace(found.baseline, diverged=diverged[0]), replace(found.candidate, diverged=diverged[1])
    return replace(found, baseline=baseline, candidate=candidate, entered=any(diverged))


def superiority(baseline: Values, candidate: Values, direction: str) -> float:
    """Chance that a candidate run beats a baseline run, ties counting half (Vargha & Delaney 2000, JEBS 25:101).

    The share of all (n, m) pairs: no shape is assumed.
    """
    ordered = np.sort(baseline)
    below = np.searchsorted(ordered, candidate, "left") + np.searchsorted(ordered, candidate, "right")
    share = float(np.mean(below)) / 2 / len(baseline)
    return share if verdict.sign(direction) > 0 else 1 - share


def _test(test: str, paired: bool) -> Test:
    if test not in get_args(Test):
        raise UsageError(f"test is {test!r}", allowed=", ".join(get_args(Test)))
    if paired and test not in ("welch", "paired"):
        raise UsageError(f"paired=True does not go with test={test!r}", allowed="test='paired'")
    return "paired" if paired else test  # type: ignore[return-value]


def _check_numbers(alpha: float, min_effect: float) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}", allowed="between 0 and 1, exclusive")
    if not 0 <= min_effect <= LARGEST:
        raise UsageError(f"min_effect is {min_effect}", allowed=f"0 to {LARGEST:g}, in the metric's units")


def _check_fit(baseline: Sample, candidate: Sample, test: Test) -> None:
    if baseline.fixed and candidate.fixed:
        raise UsageError("both sides are fixed values", allowed="a list of runs on at least one side")
    fixed = baseline.fixed or candidate.fixed
    if fixed and test not in ("welch", "student"):
        raise UsageError(f"test {test} cannot use a fixed value", allowed="test='welch' (it becomes a one-sample t)")
    if test == "paired" and baseline.n != candidate.n and not (baseline.diverged or candidate.diverged):
        raise UsageError(
            f"a paired comparison has {baseline.n} baseline and {candidate.n} candidate replicates",
            allowed="the same seeds in the same order on both sides",
        )


def _held_back(found: Inference, baseline: Sample, candidate: Sample, direction: str, min_effect: float) -> str:
    """Why no verdict may be given; "" where one may."""
    if baseline.diverged or candidate.diverged:
        return "diverged replicates are results too, and no worst value is named for them"
    if found.safe and not found.reason:
        word = verdict.verdict(*found.ends, direction, min_effect)
        if word not in ("inconclusive", verdict.verdict(*found.safe, direction, min_effect)):
            return f"n={baseline.n} against n={candidate.n} is too uneven for Welch to be sure: add runs to the smaller"
    return found.reason


def _summary(arm: Sample, scaled: Sample, power_of_two: int) -> ArmSummary:
    return ArmSummary(_back(scaled.mean, power_of_two), _back(scaled.sd, power_of_two), arm.n, arm.diverged, arm.fixed)


def _back(value: float | None, power_of_two: int) -> float | None:
    return None if value is None else math.ldexp(value, -power_of_two)


def _in_order(arm: Sample, scaled: Sample) -> Sample:
    """The runs as they were given: worst values that entered for diverged ones stand at the end, out of order."""
    return Sample(scaled.values, arm.diverged, arm.fixed)


def _effect(delta: float | None, baseline: Sample, candidate: Sample) -> float | None:
    variances = [arm.variance for arm in (baseline, candidate) if not arm.fixed]
    if delta is None or None in variances or not any(variances):
        return None
    return delta / math.sqrt(sum(v for v in variances if v is not None) / len(variances))


def _fisher(baseline: Sample, candidate: Sample, entered: bool) -> float | None:
    if baseline.fixed or candidate.fixed or not (baseline.diverged or candidate.diverged):
        return None
    total_b = baseline.n + (0 if entered else baseline.diverged)
    total_c = candidate.n + (0 if entered else candidate.diverged)
    return divergence.fisher(baseline.diverged, total_b, candidate.diverged, total_c)


def _correlation(baseline: Sample, candidate: Sample) -> float | None:
    if baseline.n != candidate.n or not baseline.variance or not candidate.variance:
        return None
    return float(np.corrcoef(baseline.values, candidate.values)[0, 1])
