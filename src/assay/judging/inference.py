"""Inference: from two samples to p and an interval, by the method that was asked for.

Covers: which method serves which arms, samples without spread, and refusing an n at which a method can
decide nothing (infinite interval, p = 1, and the reason). Not covered: the word for it (`verdict`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assay.judging import contrasts, permutation, power
from assay.judging.contrasts import Contrast
from assay.judging.samples import ROUNDING, Sample

Test = Literal["welch", "student", "paired", "permutation"]
#: Below this n two arms without spread prove nothing: a metric on a coarse grid repeats itself by luck.
LEAST_WITHOUT_SPREAD = 5
#: Above this n Welch errs in at most 5.3 % at 5 %, whatever the other arm's n and spread.
LARGE_ENOUGH = 8
WELCH_TOLERANCE = 1.05


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

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high


def undecided(method: str, reason: str, smallest_p: float = 0.0) -> Inference:
    return Inference(method, 1.0, -math.inf, math.inf, smallest_p=smallest_p, reason=reason)


def infer(baseline: Sample, candidate: Sample, test: Test, alpha: float) -> Inference:
    """p and interval of candidate - baseline at 1 - alpha. Arms fit the test (`compare` has seen to it)."""
    if baseline.fixed or candidate.fixed:
        return _differences("one-sample t", baseline, candidate, alpha)
    if test == "paired":
        if baseline.diverged or candidate.diverged:
            return undecided("paired t", "a diverged replicate leaves its pair incomplete")
        return _differences("paired t", baseline, candidate, alpha)
    if test == "permutation":
        return _permuted(baseline, candidate, alpha)
    return _two_arms(baseline, candidate, test, alpha)


def differences(baseline: Sample, candidate: Sample) -> Sample:
    """candidate - baseline, seed by seed; one side may be a fixed value. Rounding of the operands is no spread."""
    gaps = candidate.values - baseline.values
    noise = ROUNDING * max(float(np.max(np.abs(baseline.values))), float(np.max(np.abs(candidate.values))))
    if np.ptp(gaps) <= noise:
        gaps = np.full(len(gaps), 0.0 if abs(gaps[0]) <= noise else gaps[0])
    return Sample(gaps)


def _differences(method: str, baseline: Sample, candidate: Sample, alpha: float) -> Inference:
    if min(baseline.n, candidate.n) == 0:
        return undecided(method, "an arm has no finite replicate")
    gaps = differences(baseline, candidate)
    if gaps.variance is None:
        return undecided(method, "n=1 says nothing about the spread between runs")
    delta = gaps.mean
    assert delta is not None
    if not gaps.variance:
        return _without_spread(method, delta, 2 / 2**gaps.n, gaps.n, alpha)
    return _from_contrast(method, contrasts.one_sample(delta, gaps.variance, gaps.n), alpha)


def _two_arms(baseline: Sample, candidate: Sample, test: str, alpha: float) -> Inference:
    method = test.capitalize()
    var_b, var_c, smallest = baseline.variance, candidate.variance, min(baseline.n, candidate.n)
    if smallest == 0:
        return undecided(method, "an arm has no finite replicate")
    if var_b is None or var_c is None:
        return undecided(method, "n=1 says nothing about the spread between runs")
    delta = difference(baseline, candidate)
    if not var_b and not var_c:
        least_p = 2 / permutation.assignments(baseline.n, candidate.n)
        return _without_spread(method, delta, least_p, smallest, alpha)
    if test == "student":
        return _from_contrast(method, contrasts.student(delta, var_b, baseline.n, var_c, candidate.n), alpha)
    contrast = contrasts.welch(delta, var_b, baseline.n, var_c, candidate.n)
    return replace(_from_contrast(method, contrast, alpha), safe=_safe(contrast, baseline.n, candidate.n, alpha))


def _safe(contrast: Contrast, n_b: int, n_c: int, alpha: float) -> tuple[float, float] | None:
    """For unequal n at which Welch errs too often: the interval at the level that makes up for it."""
    small, large = sorted((n_b, n_c))
    if small == large or small > LARGE_ENOUGH or power.welch_size(small, large, alpha) <= WELCH_TOLERANCE * alpha:
        return None
    low, high = contrast.interval(power.welch_level(small, large, alpha))
    return float(low), float(high)


def difference(baseline: Sample, candidate: Sample) -> float:
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


def _permuted(baseline: Sample, candidate: Sample, alpha: float) -> Inference:
    n_b, n_c = baseline.n, candidate.n
    exact = permutation.assignments(n_b, n_c) <= permutation.EXACT
    method = "exact permutation" if exact else "Monte Carlo permutation"
    if min(n_b, n_c) == 0:
        return undecided(method, "an arm has no finite replicate")
    if not baseline.variance and not candidate.variance and min(n_b, n_c) < LEAST_WITHOUT_SPREAD:
        return _without_spread(method, difference(baseline, candidate), 1.0, min(n_b, n_c), alpha)
    least_p = permutation.smallest_p(n_b, n_c)
    if least_p > alpha:
        return undecided(method, f"n={n_b} and n={n_c} cannot give p below {least_p:.2g}", least_p)
    p, low, high = permutation.permutation(baseline.values, candidate.values, alpha)
    return Inference(method, p, low, high, smallest_p=least_p)
