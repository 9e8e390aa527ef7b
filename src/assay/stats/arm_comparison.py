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

from assay.core.errors import UsageError
from assay.stats import cautions, diverged_runs_test, effect_sizes, sample_size, serial_correlation, verdict_rule
from assay.stats.arm_scores import LARGEST, ArmScores, Values, exponent, sample
from assay.stats.hypothesis_tests import Inference, Test, difference, infer


@dataclass(frozen=True)
class ArmSummary:
    """One side of a comparison. `sd` is None below two runs, `mean` without a finite one."""

    mean: float | None
    sd: float | None
    n: int  # finite replicates, and diverged ones that entered as the worst value
    diverged: int
    fixed: bool  # a known number, such as a floor, and no sample
    failures_below: float | None  # share of failing runs that this n leaves possible at 95 %; None for a fixed value


@dataclass(frozen=True)
class Comparison:
    """candidate - baseline in the metric's units. Every probability is two-sided unless it says otherwise."""

    verdict: verdict_rule.Verdict
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
    fixed: bool = False,
    distinct: bool = False,
) -> Comparison:
    """The verdict on candidate against baseline: (n,) and (m,) values, one per finite replicate.

    A bare number on one side is a fixed value, such as a floor. `min_effect` is the smallest difference that
    matters, in the metric's units. `test` is welch (default), student, paired (the same seeds in the same order on
    both sides; also `paired=True`), permutation, or anytime (may be read after every seed; runs in the order in which
    they came).

    Runs of one arm that are all alike count as one, and allow no verdict: a script that ignores its seed prints the
    same number as often as it is asked. `fixed=True` says that this is meant: such an arm is one fixed value.
    `distinct=True`: the caller knows that the runs differ, and equal numbers are ties.

    Diverged replicates are counted, and hold the verdict back unless `worst` is the value that each of them enters as;
    in a paired design their place matters, so there the caller puts the worst value into the list, or the verdict
    stays held back. `hold`: a reason known to the caller why no verdict may be read (`sequential.look`).

    Raises UsageError naming the argument that cannot be used.
    """
    chosen = _test(test, paired)
    verdict_rule.sign(direction)
    _check_numbers(alpha, min_effect)
    entering = None if chosen == "paired" else worst
    arm_b = sample("baseline", baseline, diverged_baseline, entering)
    arm_c = sample("candidate", candidate, diverged_candidate, entering)
    _check_fit(arm_b, arm_c, chosen, fixed)
    power_of_two = exponent(arm_b.values, arm_c.values)
    scaled_b, scaled_c = arm_b.scaled(power_of_two), arm_c.scaled(power_of_two)
    scaled_b, scaled_c = _counted(scaled_b, scaled_c, entering is not None, fixed, distinct)
    if entering is not None:  # they are in the numbers now, and no longer missing
        scaled_b, scaled_c = replace(scaled_b, diverged=0), replace(scaled_c, diverged=0)
    found = infer(scaled_b, scaled_c, chosen, alpha)
    smallest = math.ldexp(min_effect, power_of_two)
    reason = hold or _held_back(found, scaled_b, scaled_c, direction, smallest)
    word: verdict_rule.Verdict = "inconclusive"
    if not reason:
        word = verdict_rule.verdict(*found.ends, direction, smallest)
    planned = sample_size.plan(scaled_b, scaled_c, chosen, alpha)
    finite = min(arm_b.n, arm_c.n) > 0
    delta = difference(scaled_b, scaled_c) if finite else None
    detectable = sample_size.detectable(planned, scaled_c.n, alpha)
    return Comparison(
        verdict=word,
        delta=_back(delta, power_of_two),
        ci=(math.ldexp(found.low, -power_of_two), math.ldexp(found.high, -power_of_two)),
        p=found.p,
        no_regression=not reason and verdict_rule.no_regression(*(found.safe or found.ends), direction, smallest),
        baseline=_summary(scaled_b, arm_b.diverged, power_of_two, entering is not None),
        candidate=_summary(scaled_c, arm_c.diverged, power_of_two, entering is not None),
        direction=direction,
        min_effect=min_effect,
        alpha=alpha,
        method=found.method,
        df=found.df,
        smallest_p=found.smallest_p,
        effect_sd=effect_sizes.in_sd(delta, scaled_b, scaled_c),
        superiority=effect_sizes.superiority(scaled_b.values, scaled_c.values, direction) if finite else None,
        n_needed=sample_size.n_needed(planned, smallest, alpha),
        min_detectable_effect=_back(detectable, power_of_two),
        entered=entering is not None,
        fisher_p=effect_sizes.fisher_p(arm_b, arm_c, entering is not None),
        correlation=effect_sizes.correlation(scaled_b, scaled_c) if chosen == "paired" else None,
        reason=reason,
        warnings=(
            *cautions.cautions(scaled_b, scaled_c, chosen),
            *serial_correlation.cautions(_in_order(arm_b, scaled_b), _in_order(arm_c, scaled_c), chosen),
        ),
    )


def entered(found: Comparison, diverged: tuple[int, int]) -> Comparison:
    """`found` with the numbers of diverged replicates (baseline, candidate) that the caller entered in their places."""
    sides = (
        replace(side, diverged=count, failures_below=diverged_runs_test.failures_below(count, side.n))
        for side, count in zip((found.baseline, found.candidate), diverged, strict=True)
    )
    baseline, candidate = sides
    return replace(found, baseline=baseline, candidate=candidate, entered=any(diverged))


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


def _check_fit(baseline: ArmScores, candidate: ArmScores, test: Test, fixed: bool) -> None:
    if baseline.fixed and candidate.fixed and not fixed:
        raise UsageError(
            "both sides are fixed values",
            allowed="a list of runs on at least one side; fixed=True where none is random",
        )
    if (baseline.fixed or candidate.fixed) and test not in ("welch", "student", "anytime"):
        raise UsageError(f"test {test} cannot use a fixed value", allowed="test='welch' (it becomes a one-sample t)")
    if test == "paired" and baseline.n != candidate.n and not (baseline.diverged or candidate.diverged):
        raise UsageError(
            f"a paired comparison has {baseline.n} baseline and {candidate.n} candidate replicates",
            allowed="the same seeds in the same order on both sides",
        )


def _counted(
    baseline: ArmScores, candidate: ArmScores, entered: bool, fixed: bool, distinct: bool
) -> tuple[ArmScores, ArmScores]:
    """Both arms, runs that are all alike taken for one."""
    if distinct and not fixed:
        return baseline, candidate
    found = tuple(arm.counted(arm.diverged if entered else 0, fixed) for arm in (baseline, candidate))
    if fixed and not any(arm.fixed for arm in found):
        raise UsageError(
            "fixed=True, but the runs of both arms differ", allowed="an arm whose runs are all alike, or fixed=False"
        )
    return found[0], found[1]


def _held_back(found: Inference, baseline: ArmScores, candidate: ArmScores, direction: str, min_effect: float) -> str:
    """Why no verdict may be given; "" where one may."""
    if baseline.diverged or candidate.diverged:
        return "diverged replicates are results too, and no worst value is named for them"
    if found.safe and not found.reason:
        word = verdict_rule.verdict(*found.ends, direction, min_effect)
        if word not in ("inconclusive", verdict_rule.verdict(*found.safe, direction, min_effect)):
            return found.unsafe
    return found.reason


def _summary(arm: ArmScores, diverged: int, power_of_two: int, entered: bool) -> ArmSummary:
    below = None if arm.fixed else diverged_runs_test.failures_below(diverged, arm.n if entered else arm.n + diverged)
    mean, sd = _back(arm.mean, power_of_two), _back(arm.sd, power_of_two)
    return ArmSummary(mean, sd, arm.n, diverged, arm.fixed, below)


def _back(value: float | None, power_of_two: int) -> float | None:
    return None if value is None else math.ldexp(value, -power_of_two)


def _in_order(arm: ArmScores, scaled: ArmScores) -> ArmScores:
    """The runs as they were given: worst values that entered for diverged ones stand at the end, out of order."""
    return ArmScores(scaled.values, arm.diverged, arm.fixed)
