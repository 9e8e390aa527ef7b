"""Resampled splits: one difference per split, on training sets that overlap.

The differences are not independent, and a plain t test is wrong several times as often as it says. The
corrected resampled t-test adds the overlap: Nadeau & Bengio 2003, Machine Learning 52:239, equation 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from assay.core.errors import UsageError
from assay.stats.arm_scores import sample
from assay.stats.difference_estimate import Array, Contrast, one_sample


@dataclass(frozen=True)
class Resampled:
    """Mean difference over splits. Infinite interval and p = 1 where the splits show no spread."""

    delta: float
    ci: tuple[float, float]
    p: float
    df: int


def resampled(differences: Sequence[float], train: int, test: int, alpha: float = 0.05) -> Resampled:
    """Corrected t over (J,) differences candidate - baseline, one per random split into `train` and `test` examples.

    Raises UsageError for fewer than two splits or an empty side.
    """
    gaps = sample("differences", differences, 0, None)
    if train < 1 or test < 1:
        raise UsageError(f"a split has {train} training and {test} test examples", allowed="at least one of each")
    if gaps.n < 2:
        raise UsageError(f"there is {gaps.n} split", allowed="two or more")
    variance, mean = gaps.variance, gaps.mean
    assert variance is not None and mean is not None
    if not variance:
        return Resampled(mean, (-math.inf, math.inf), 1.0, gaps.n - 1)
    found = contrast(mean, variance, gaps.n, test / train)
    low, high = found.interval(alpha)
    return Resampled(mean, (float(low), float(high)), float(found.p), gaps.n - 1)


def contrast(delta: ArrayLike, variance: ArrayLike, n: ArrayLike, overlap: float) -> Contrast:
    """Mean of n differences, one a split, against 0. `overlap`: test examples over training examples of a split.

    All broadcasts, so that a simulation runs the code that judges.
    """
    return one_sample(delta, np.asarray(variance, float) * inflation(n, overlap), n)


def inflation(n: ArrayLike, overlap: float) -> Array:
    """How many times the variance of a mean over n splits is that of n independent differences: 1 + n overlap."""
    return 1 + np.asarray(n, float) * overlap


def widened(sd: float, n: int, overlap: float | None) -> float:
    """`sd` of a difference as power over n splits meets it; the same where runs are independent (`overlap` None)."""
    return sd if overlap is None else sd * math.sqrt(float(inflation(n, overlap)))
