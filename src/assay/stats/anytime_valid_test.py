"""The anytime-valid t test: looked at after every seed, it errs at most alpha over all looks together.

Covers: the e-process of a one-sample t statistic under a g-prior, p = 1/e, and the interval that it inverts to.
The e-value is the Bayes factor of Gönen, Johnson, Lu & Westfall (2005, The American Statistician 59:252): the
effect in standard deviations is normal with variance G, and the spread has its right-Haar prior. That this is a
test martingale for every unknown spread, so that Ville's inequality holds at any time: Pérez-Ortiz, Lardy, de Heide &
Grünwald (2024, Annals of Statistics 52:1410); Wang & Ramdas (2025, Sequential Analysis 44:56). Not covered: pairing
the arms (`inference` takes the i-th run of both, which holds for any two spreads and gives up some power).
"""

from __future__ import annotations

import math

#: variance of the effect, in standard deviations of one difference, that the test is best at
G = 0.5


def anytime(mean: float, variance: float, n: int, alpha: float) -> tuple[float, float]:
    """(p, half width of the interval at 1 - alpha) for n differences; infinite where n cannot decide."""
    square = mean / variance * mean * n  # of the t statistic
    p = math.exp(min(0.0, -log_e(square, n)))
    return p, critical(n, alpha) * math.sqrt(variance / n)


def smallest_p(n: int) -> float:
    """What no data of this n can go below."""
    return float((1 + n * G) ** (-(n - 1) / 2))


def log_e(square: float, n: int) -> float:
    """Logarithm of the e-value of t² after n differences."""
    shrunk, df = 1 + n * G, n - 1
    gain = math.log1p(square / df) - math.log1p(square / df / shrunk)
    return n / 2 * gain - math.log(shrunk) / 2


def critical(n: int, alpha: float) -> float:
    """The |t| at which the e-value reaches 1/alpha after n differences; infinite where it never does."""
    shrunk = 1 + n * G
    growth = math.exp((2 * math.log(1 / alpha) + math.log(shrunk)) / n)
    if growth >= shrunk:
        return math.inf
    return math.sqrt((n - 1) * (growth - 1) / (1 - growth / shrunk))
