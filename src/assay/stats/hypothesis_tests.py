"""Inference: from two samples to p and an interval, by the method that was asked for.

Covers: which method serves which arms, samples without spread, refusing an n at which a method can decide
nothing (infinite interval, p = 1, and the reason), the wider interval that a verdict must survive where spreads
that differ would make the method err. Not covered: the word for it (`verdict_rule`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assay.stats import (
    anytime_valid_test,
    block_effects,
    corrected_resampled_ttest,
    difference_estimate,
    permutation_test,
    unequal_variances,
)
from assay.stats.arm_scores import ROUNDING, ArmScores
from assay.stats.difference_estimate import Contrast

Test = Literal["welch", "student", "paired", "permutation", "anytime", "resampled"]
#: tests of designs in which replicates of both arms belong together, one by one
IN_PAIRS = ("paired", "resampled")
#: Below this n two arms without spread prove nothing: a metric on a coarse grid repeats itself by luck.
LEAST_WITHOUT_SPREAD = 5
NO_FINITE = "an arm has no finite replicate"
#: what a method is called where runs lie in blocks
WITHIN = " within blocks"
#: test → what it is called beside p
NAMES: dict[str, str] = {
    "welch": "Welch",
    "student": "Student",
    "paired": "paired t",
    "permutation": "permutation",
    "anytime": "anytime t",
    "resampled": "corrected resampled t",
}


@dataclass(frozen=True)
class Inference:
    """What a method says about candidate - baseline. `reason`: why it can say nothing, "" where it can."""

    method: str
    p: float
    low: float
    high: float
    df: float | None = None
    smallest_p: float = 0.0  # no data of this n can give less
    reason: str = ""
    safe: tuple[float, float] | None = None  # a wider interval that the verdict must survive too
    unsafe: str = ""  # why, where it does not

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high


def undecided(method: str, reason: str, smallest_p: float = 0.0) -> Inference:
    return Inference(method, 1.0, -math.inf, math.inf, smallest_p=smallest_p, reason=reason)


def infer(
    baseline: ArmScores, candidate: ArmScores, test: Test, alpha: float, overlap: float | None = None
) -> Inference:
    """p and interval of candidate - baseline at 1 - alpha. Arms fit the test (`compare` has seen to it).

    `overlap`: validation examples over training examples of a split, for the resampled test.
    """
    for name, arm in (("baseline", baseline), ("candidate", candidate)):
        if arm.repeats:
            return undecided(NAMES[test], repeated(name, arm.repeats))
    if baseline.fixed and candidate.fixed:
        return _exact(baseline, candidate)
    if reason := block_effects.unbalanced(baseline, candidate):
        return undecided(NAMES[test] + WITHIN, reason)
    if test == "anytime":
        return _anytime(baseline, candidate, alpha)
    if test == "resampled" and overlap is not None:
        return _resampled(baseline, candidate, alpha, overlap)
    if baseline.fixed or candidate.fixed:
        return _differences("one-sample t", baseline, candidate, alpha)
    if test == "paired":
        if baseline.diverged or candidate.diverged:
            return undecided("paired t", "a diverged replicate leaves its pair incomplete")
        return _differences("paired t", baseline, candidate, alpha)
    if test == "permutation":
        return _permuted(baseline, candidate, alpha)
    return _two_arms(baseline, candidate, test, alpha)


def repeated(name: str, runs: int) -> str:
    """Why runs that are all alike decide nothing."""
    return (
        f"all {runs} runs of the {name} are the same, which is one run (n=1): does the seed reach the training? "
        "Where nothing is random by design, say so: task.fixed: true, or compare(…, fixed=True)"
    )


def _exact(baseline: ArmScores, candidate: ArmScores) -> Inference:
    """Two known numbers: their difference is what it is. It says nothing about other examples."""
    delta = difference(baseline, candidate)
    return Inference("fixed values", 0.0 if delta else 1.0, delta, delta)


def _anytime(baseline: ArmScores, candidate: ArmScores, alpha: float) -> Inference:
    """The e-process over differences of the i-th runs of both arms; runs without a partner wait for one."""
    if baseline.diverged or candidate.diverged:
        return undecided(NAMES["anytime"], "a diverged replicate leaves its place in the sequence empty")
    n = min(arm.n for arm in (baseline, candidate) if not arm.fixed)
    baseline, candidate = (arm if arm.fixed else replace(arm, values=arm.values[:n]) for arm in (baseline, candidate))
    if n < 2:
        return undecided(NAMES["anytime"], "n=1 says nothing about the spread between runs" if n else NO_FINITE)
    gaps = differences(baseline, candidate)
    if not gaps.variance or gaps.mean is None:
        return undecided(NAMES["anytime"], "no spread within the runs: nothing to measure a difference by")
    p, half = anytime_valid_test.anytime(gaps.mean, gaps.variance, n, alpha)
    if not math.isfinite(half):
        least = anytime_valid_test.smallest_p(n)
        return undecided(NAMES["anytime"], f"n={n} cannot give p below {least:.2g}", least)
    return Inference(NAMES["anytime"], p, gaps.mean - half, gaps.mean + half, n - 1.0)


def differences(baseline: ArmScores, candidate: ArmScores) -> ArmScores:
    """candidate - baseline, seed by seed; one side may be a fixed value. Rounding of the operands is no spread."""
    gaps = candidate.values - baseline.values
    noise = ROUNDING * max(float(np.max(np.abs(baseline.values))), float(np.max(np.abs(candidate.values))))
    if np.ptp(gaps) <= noise:
        gaps = np.full(len(gaps), 0.0 if abs(gaps[0]) <= noise else gaps[0])
    return ArmScores(gaps)


def _differences(method: str, baseline: ArmScores, candidate: ArmScores, alpha: float) -> Inference:
    if min(baseline.n, candidate.n) == 0:
        return undecided(method, NO_FINITE)
    gaps = replace(differences(baseline, candidate), blocks=candidate.blocks or baseline.blocks)
    variance, n = gaps.as_one_sample
    if variance is None:
        return undecided(method, "n=1 says nothing about the spread between runs")
    delta = gaps.mean
    assert delta is not None
    if not variance:
        return _without_spread(method, delta, 2 / 2**gaps.n, gaps.n, alpha)
    return _from_contrast(method, difference_estimate.one_sample(delta, variance, n), alpha)


def _resampled(baseline: ArmScores, candidate: ArmScores, alpha: float, overlap: float) -> Inference:
    """The corrected t over differences split by split. Without spread nothing is known of what overlaps."""
    method = NAMES["resampled"]
    if baseline.diverged or candidate.diverged:
        return undecided(method, "a diverged replicate leaves its split without a difference")
    if min(baseline.n, candidate.n) == 0:
        return undecided(method, NO_FINITE)
    gaps = differences(baseline, candidate)
    if gaps.variance is None:
        return undecided(method, "n=1 says nothing about the spread between splits")
    if not gaps.variance or gaps.mean is None:
        return undecided(method, "no spread between the splits: nothing to measure a difference by")
    contrast = corrected_resampled_ttest.contrast(gaps.mean, gaps.variance, gaps.n, overlap)
    return _from_contrast(method, contrast, alpha)


def _two_arms(baseline: ArmScores, candidate: ArmScores, test: str, alpha: float) -> Inference:
    method = test.capitalize() + (WITHIN if baseline.blocks else "")
    (var_b, n_b), (var_c, n_c) = baseline.as_one_sample, candidate.as_one_sample
    smallest = min(baseline.n, candidate.n)
    if smallest == 0:
        return undecided(method, NO_FINITE)
    if var_b is None or var_c is None:
        return undecided(method, "n=1 says nothing about the spread between runs")
    delta = difference(baseline, candidate)
    if not var_b and not var_c:
        least_p = 2 / permutation_test.assignments(baseline.n, candidate.n)
        return _without_spread(method, delta, least_p, smallest, alpha)
    if test == "student":
        contrast = difference_estimate.student(delta, var_b, n_b, var_c, n_c)
        safe = unequal_variances.student(contrast, baseline.n, candidate.n, alpha)
        return replace(
            _from_contrast(method, contrast, alpha), safe=safe, unsafe=unequal_variances.EQUAL.format(method)
        )
    contrast = difference_estimate.welch(delta, var_b, n_b, var_c, n_c)
    safe = unequal_variances.welch(contrast, baseline.n - baseline.lost, candidate.n - candidate.lost, alpha)
    unsafe = f"n={baseline.n} against n={candidate.n} is too uneven for Welch to be sure: add runs to the smaller"
    return replace(_from_contrast(method, contrast, alpha), safe=safe, unsafe=unsafe)


def difference(baseline: ArmScores, candidate: ArmScores) -> float:
    """Difference of the means; 0 where it is only rounding."""
    assert baseline.mean is not None and candidate.mean is not None
    delta = candidate.mean - baseline.mean
    noise = ROUNDING * max(abs(baseline.mean), abs(candidate.mean))
    return 0.0 if abs(delta) <= noise else delta


def _from_contrast(method: str, contrast: Contrast, alpha: float) -> Inference:
    low, high = contrast.interval(alpha)
    return Inference(method, float(contrast.p), float(low), float(high), float(contrast.df))


def _without_spread(method: str, delta: float, least_p: float, n: int, alpha: float) -> Inference:
    """Runs that are all alike: no t, but so many would not line up by chance (`least_p`)."""
    if n < LEAST_WITHOUT_SPREAD or least_p > alpha:
        return undecided(method, f"no spread within n={n} runs: too few to tell a constant from a coincidence", least_p)
    return Inference(method, least_p if delta else 1.0, delta, delta, smallest_p=least_p)


def _permuted(baseline: ArmScores, candidate: ArmScores, alpha: float) -> Inference:
    n_b, n_c = baseline.n, candidate.n
    exact = permutation_test.assignments(n_b, n_c) <= permutation_test.EXACT
    method = "exact permutation" if exact else "Monte Carlo permutation"
    if min(n_b, n_c) == 0:
        return undecided(method, NO_FINITE)
    if not baseline.variance and not candidate.variance and min(n_b, n_c) < LEAST_WITHOUT_SPREAD:
        return _without_spread(method, difference(baseline, candidate), 1.0, min(n_b, n_c), alpha)
    least_p = permutation_test.smallest_p(n_b, n_c)
    if least_p > alpha:
        return undecided(method, f"n={n_b} and n={n_c} cannot give p below {least_p:.2g}", least_p)
    p, low, high = permutation_test.permutation(baseline.values, candidate.values, alpha)
    delta, var_b, var_c = difference(baseline, candidate), baseline.variance, candidate.variance
    safe = unequal_variances.permuted(delta, (var_b or 0.0, n_b), (var_c or 0.0, n_c), alpha)
    return Inference(
        method, p, low, high, smallest_p=least_p, safe=safe, unsafe=unequal_variances.EQUAL.format("A permutation")
    )
