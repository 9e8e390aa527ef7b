"""Correlation of true means under two profiles, where each mean is known from a few replicates only.

The model: a setting has a true mean under each profile, both drawn from a bivariate normal; replicates scatter around
them with a spread of the profile. Covers: the restricted likelihood, its maximum, an interval by profile likelihood.
Not covered: other shapes than normal ones. A plain correlation of observed means is too small, as noise enters it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]
#: largest correlation that is tried, in size
LARGEST = 0.9995
#: halvings of the search for an end of the interval
HALVINGS = 14
#: a spread of true means below this share of its error cannot be told from none
SMALLEST = 1e-3
#: settings without which nothing can be estimated
FEWEST = 4


@dataclass(frozen=True)
class CorrelationFit:
    """Estimates; spreads are standard deviations in the metric's units."""

    correlation: float
    ci: tuple[float, float]
    spread_full: float  # of true means
    spread_fast: float
    noise_full: float  # of replicates
    noise_fast: float


@dataclass(frozen=True)
class _Means:
    """Means (S, 2) of both profiles, scaled; `errors` (S, 2): the variance of each mean."""

    values: Array
    errors: Array

    def deviance(self, log_spreads: Array, correlation: float) -> float:
        """-2 log of the restricted likelihood at (log of both spreads) and `correlation`."""
        spread = np.exp(log_spreads)
        a = spread[0] ** 2 + self.errors[:, 0]
        d = spread[1] ** 2 + self.errors[:, 1]
        b = correlation * spread[0] * spread[1]
        det = a * d - b * b
        inverse = np.array([d / det, -b / det, a / det])  # (3, S): the upper triangle of each inverse
        total = inverse.sum(axis=1)
        first = inverse[0] @ self.values[:, 0] + inverse[1] @ self.values[:, 1]
        second = inverse[1] @ self.values[:, 0] + inverse[2] @ self.values[:, 1]
        whole = total[0] * total[2] - total[1] ** 2
        mean = np.array([total[2] * first - total[1] * second, total[0] * second - total[1] * first]) / whole
        off = self.values - mean
        squares = inverse[0] * off[:, 0] ** 2 + 2 * inverse[1] * off[:, 0] * off[:, 1] + inverse[2] * off[:, 1] ** 2
        return float(np.sum(np.log(det)) + np.sum(squares) + math.log(whole))

    def at(self, correlation: float, start: Array) -> tuple[float, Array]:
        """The smallest deviance at `correlation` over both spreads, and where it is."""
        low = np.log(SMALLEST * np.sqrt(self.errors.mean(axis=0)) + 1e-12)
        found = optimize.minimize(
            self.deviance,
            np.maximum(start, low),
            args=(correlation,),
            method="L-BFGS-B",
            bounds=[(float(one), 8.0) for one in low],
        )
        return float(found.fun), np.asarray(found.x, float)


def fit(full: Sequence[Sequence[float]], fast: Sequence[Sequence[float]], alpha: float) -> CorrelationFit | None:
    """The correlation of true means with its interval at 1 - alpha; None where nothing can be estimated.

    `full`, `fast`: replicates of each setting under either profile. The quantile of the likelihood ratio is widened by
    (S - 1) / (S - 3), as Fisher's transformation has it for S settings.
    """
    if len(full) < FEWEST:
        return None
    noises = [_pooled(values) for values in (full, fast)]
    observed = np.array([[np.mean(one) for one in values] for values in (full, fast)]).T
    scale = np.sqrt(observed.var(axis=0, ddof=1))
    if not (scale > 0).all():
        return None
    counts = np.array([[len(one) for one in values] for values in (full, fast)], float).T
    made = _Means((observed - observed.mean(axis=0)) / scale, np.square(noises / scale) / counts)
    start = 0.5 * np.log(np.maximum(1 - made.errors.mean(axis=0), 0.05))
    best, correlation, spreads = _best(made, start)
    settings = len(full)
    most = best + float(special.chdtri(1, alpha)) * (settings - 1) / (settings - 3)
    ends = [_end(made, correlation, side, most, spreads) for side in (-1.0, 1.0)]
    return CorrelationFit(
        correlation=correlation,
        ci=(ends[0], ends[1]),
        spread_full=float(np.exp(spreads[0]) * scale[0]),
        spread_fast=float(np.exp(spreads[1]) * scale[1]),
        noise_full=noises[0],
        noise_fast=noises[1],
    )


def _pooled(values: Sequence[Sequence[float]]) -> float:
    """Standard deviation of replicates around the mean of their setting."""
    squares = sum(float(np.sum((np.asarray(one, float) - np.mean(one)) ** 2)) for one in values)
    return math.sqrt(squares / max(1, sum(len(one) - 1 for one in values)))


def _best(made: _Means, start: Array) -> tuple[float, float, Array]:
    """Smallest deviance, its correlation, its spreads."""

    def at(angle: float) -> float:
        return made.at(math.tanh(angle), start)[0]

    top = math.atanh(LARGEST)
    found = optimize.minimize_scalar(at, bounds=(-top, top), method="bounded", options={"xatol": 1e-3})
    angle = min((float(found.x), top, -top), key=at)
    correlation = math.tanh(angle)
    return at(angle), correlation, made.at(correlation, start)[1]


def _end(made: _Means, correlation: float, side: float, most: float, start: Array) -> float:
    """The last correlation on one side whose deviance is at most `most`."""
    inside, outside = math.atanh(correlation), side * math.atanh(LARGEST)
    if made.at(side * LARGEST, start)[0] <= most:
        return side
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if made.at(math.tanh(middle), start)[0] <= most:
            inside = middle
        else:
            outside = middle
    return math.tanh(outside)
