"""Design: how many runs the smallest effect that matters needs, and what the present number can find.

Covers: choosing the power curve that belongs to a test. The spread is the one observed; the effect never is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from assay.stats import anytime_valid_test, permutation_test, statistical_power
from assay.stats.arm_scores import ArmScores
from assay.stats.corrected_resampled_ttest import widened
from assay.stats.hypothesis_tests import IN_PAIRS, Test, differences

MOST = 1_000_000


class SampleSizePlan(NamedTuple):
    """`curve`: power of (true difference, n per arm); `here`: the same at the present n; `variance` of one pair."""

    curve: statistical_power.Curve
    here: statistical_power.Curve
    variance: float
    n: float  # effective number of pairs
    least: int
    bounded: bool = False  # power has a limit below 1, however many runs: splits overlap
    blocks: int = 1  # n is a multiple of


def plan(
    baseline: ArmScores, candidate: ArmScores, test: Test, alpha: float, overlap: float | None = None
) -> SampleSizePlan | None:
    """None where the spread is unknown or 0. `overlap` as in `stats.hypothesis_tests.infer`."""
    if test == "anytime" and not (baseline.fixed or candidate.fixed):
        n = min(baseline.n, candidate.n)  # runs without a partner are not looked at
        baseline, candidate = (replace(arm, values=arm.values[:n]) for arm in (baseline, candidate))
    if baseline.fixed or candidate.fixed or test in (*IN_PAIRS, "anytime"):
        return _of_differences(baseline, candidate, test, alpha, overlap)
    var_b, var_c, n_b, n_c = baseline.variance, candidate.variance, baseline.n, candidate.n
    if var_b is None or var_c is None or var_b + var_c == 0:
        return None
    sd_b, sd_c = math.sqrt(var_b), math.sqrt(var_c)
    if lost := candidate.lost:
        return _in_blocks(sd_b, sd_c, n_b, n_c, lost, alpha)
    pooled = math.sqrt(((n_b - 1) * var_b + (n_c - 1) * var_c) / (n_b + n_c - 2))
    pairs = (var_b + var_c) / (var_b / n_b + var_c / n_c)
    if test == "student":
        return SampleSizePlan(
            lambda effect, n: statistical_power.student_power(
                effect, pooled, n, n, statistical_power.student_level(n, n, alpha)
            ),
            lambda effect, _: statistical_power.student_power(
                effect, pooled, n_b, n_c, statistical_power.student_level(n_b, n_c, alpha)
            ),
            2 * pooled**2,
            pairs,
            2,
        )
    return SampleSizePlan(
        lambda effect, n: statistical_power.welch_power(effect, sd_b, sd_c, n, n, alpha),
        lambda effect, _: statistical_power.welch_power(effect, sd_b, sd_c, n_b, n_c, alpha),
        var_b + var_c,
        pairs,
        _least_permutation(alpha) if test == "permutation" else 2,
    )


def _in_blocks(sd_b: float, sd_c: float, n_b: int, n_c: int, lost: int, alpha: float) -> SampleSizePlan:
    """Welch's within `lost` + 1 blocks: with n runs, the power of n - lost whose mean is known as well."""

    def power(effect: float, first: int, second: int) -> float:
        sizes = first - lost, second - lost
        one, other = (sd * math.sqrt(n / (n + lost)) for sd, n in zip((sd_b, sd_c), sizes, strict=True))
        return statistical_power.welch_power(effect, one, other, *sizes, alpha)

    pairs = (sd_b**2 + sd_c**2) / (sd_b**2 / n_b + sd_c**2 / n_c)
    return SampleSizePlan(
        lambda effect, n: power(effect, n, n),
        lambda effect, _: power(effect, n_b, n_c),
        sd_b**2 + sd_c**2,
        pairs,
        2 * (lost + 1),
        blocks=lost + 1,
    )


def _of_differences(
    baseline: ArmScores, candidate: ArmScores, test: Test, alpha: float, overlap: float | None
) -> SampleSizePlan | None:
    if not baseline.n or not candidate.n or (baseline.n != candidate.n and not (baseline.fixed or candidate.fixed)):
        return None
    gaps = differences(baseline, candidate)
    if not gaps.variance:
        return None
    sd = math.sqrt(gaps.variance)

    def curve(effect: float, n: int) -> float:
        if test == "anytime":  # at this n; the chance to have decided by then is higher
            return statistical_power.one_sample_power(effect, sd, n, alpha, anytime_valid_test.critical(n, alpha))
        return statistical_power.one_sample_power(effect, widened(sd, n, overlap), n, alpha)

    return SampleSizePlan(curve, curve, gaps.variance, gaps.n, 2, overlap is not None)


def _least_permutation(alpha: float) -> int:
    """The smallest n per arm at which the permutation test can reach alpha."""
    return next(n for n in range(2, 1000) if permutation_test.smallest_p(n, n) <= alpha)


def pairing(correlation: float, alpha: float) -> tuple[int, int]:
    """Runs per arm that find one standard deviation with 80 % power: paired at this correlation, and unpaired."""
    sd = math.sqrt(max(2 * (1 - correlation), 1e-6))
    paired = statistical_power.n_for(
        lambda effect, n: statistical_power.one_sample_power(effect, sd, n, alpha), 1.0, 3, 2
    )
    return paired, statistical_power.n_for(
        lambda effect, n: statistical_power.student_power(effect, 1.0, n, n, alpha), 1.0, 17, 2
    )


def n_needed(design: SampleSizePlan | None, min_effect: float, alpha: float) -> int | None:
    """Runs per arm that find `min_effect` with 80 % power.

    None without an effect that matters, without a spread, or beyond a million runs.
    """
    if design is None or min_effect <= 0:
        return None
    guess = statistical_power.normal_n(min_effect, design.variance, alpha)
    if guess > MOST or (design.bounded and design.curve(min_effect, MOST) < statistical_power.POWER):
        return None
    found = statistical_power.n_for(design.curve, min_effect, max(math.ceil(guess), design.least), design.least)
    return math.ceil(found / design.blocks) * design.blocks


def detectable(design: SampleSizePlan | None, n: int, alpha: float) -> float | None:
    """The smallest true difference that the present n finds with 80 % power; None where it can find none."""
    if design is None:
        return None
    guess = 2.8 * math.sqrt(design.variance / design.n)  # the normal quantiles of 5 % and 80 % together
    found = statistical_power.effect_for(design.here, n, guess)
    return found if math.isfinite(found) else None


def smallest_effect(
    sd: float, n: int, alpha: float, test: str, *, fixed_value: bool, overlap: float | None = None
) -> float | None:
    """The smallest true difference that n runs an arm of spread `sd` will find with 80 % power, before any was made.

    `fixed_value`: against a floor. Pairs are taken to be independent, as nobody knows how they correlate; a permutation
    is taken for Welch's test. `overlap`: of splits, for the resampled test. None where this n can find nothing.
    """

    def curve(effect: float, size: int) -> float:
        if test == "anytime":
            critical = anytime_valid_test.critical(size, alpha)
            return statistical_power.one_sample_power(effect, gap, size, alpha, critical)
        if fixed_value or test in IN_PAIRS:
            return statistical_power.one_sample_power(effect, widened(gap, size, overlap), size, alpha)
        return statistical_power.welch_power(effect, sd, sd, size, size, alpha)

    gap = sd if fixed_value else math.sqrt(2) * sd
    if not sd > 0 or n < 2:
        return None
    found = statistical_power.effect_for(curve, n, 2.8 * gap / math.sqrt(n))
    return found if math.isfinite(found) else None
