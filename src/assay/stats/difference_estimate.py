"""Contrasts: an estimated difference with its standard error and degrees of freedom.

Covers: Welch, Student, one-sample (paired differences, a fixed side) from moments, their p and
intervals; all of it broadcasts, so a simulation runs the very code that judges. Not covered: samples on
which these formulas say nothing, such as zero spread (`inference`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """delta / se follows t with df degrees of freedom where the truth is 0. Arrays of one shape, or scalars."""

    delta: Array
    se: Array
    df: Array

    @property
    def p(self) -> Array:
        """Two-sided p of "no difference"."""
        return t_tails(self.delta / self.se, self.df)

    def interval(self, alpha: float) -> tuple[Array, Array]:
        """Ends of the two-sided interval with coverage 1 - alpha."""
        half = t_quantile(alpha, self.df) * self.se
        return self.delta - half, self.delta + half


def t_tails(t: ArrayLike, df: ArrayLike) -> Array:
    """P(|T| ≥ |t|). Through the incomplete beta function, which keeps its digits far out in the tail."""
    square, degrees = np.square(np.asarray(t, float)), np.asarray(df, float)
    return np.asarray(special.betainc(degrees / 2, 0.5, degrees / (degrees + square)))


def t_quantile(alpha: ArrayLike, df: ArrayLike) -> Array:
    """The t with P(|T| ≥ t) = alpha."""
    degrees = np.asarray(df, float)
    ratio = special.betaincinv(degrees / 2, 0.5, alpha)
    return np.asarray(np.sqrt(degrees * (1 - ratio) / ratio))


def welch(delta: ArrayLike, var_b: ArrayLike, n_b: ArrayLike, var_c: ArrayLike, n_c: ArrayLike) -> Contrast:
    """Unequal variances (Welch 1947, Biometrika 34:28); df after Satterthwaite (1946, Biometrics Bulletin 2:110)."""
    part_b, part_c = np.asarray(var_b, float) / n_b, np.asarray(var_c, float) / n_c
    total = part_b + part_c
    share = part_b / total  # shares, because the squares of variances leave the range of floats
    df = 1 / (np.square(share) / (np.asarray(n_b) - 1) + np.square(1 - share) / (np.asarray(n_c) - 1))
    return Contrast(np.asarray(delta, float), np.sqrt(total), np.asarray(df))


def student(delta: ArrayLike, var_b: ArrayLike, n_b: ArrayLike, var_c: ArrayLike, n_c: ArrayLike) -> Contrast:
    """One common variance (Student 1908, Biometrika 6:1)."""
    n_b, n_c = np.asarray(n_b, float), np.asarray(n_c, float)
    df = n_b + n_c - 2
    pooled = ((n_b - 1) * np.asarray(var_b, float) + (n_c - 1) * np.asarray(var_c, float)) / df
    return Contrast(np.asarray(delta, float), np.sqrt(pooled * (1 / n_b + 1 / n_c)), df)


def one_sample(delta: ArrayLike, variance: ArrayLike, n: ArrayLike) -> Contrast:
    """Mean of n differences against 0: paired seeds, or one arm against a fixed value."""
    n = np.asarray(n, float)
    return Contrast(np.asarray(delta, float), np.sqrt(np.asarray(variance, float) / n), n - 1)
