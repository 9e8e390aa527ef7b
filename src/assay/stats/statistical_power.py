"""Power: what a design can find, for an effect named beforehand.

Covers: power of the two-sided t tests, the integer n for a given effect, the smallest effect that a given
n finds. Not covered: power for the effect just observed, which says no more than p does (Hoenig &
Heisey 2001, The American Statistician 55:19) and is therefore not offered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special

from assay.stats.difference_estimate import Array, student, t_quantile, t_tails, welch

POWER = 0.8
#: From this shift on a result that is significant in the wrong direction has a probability below 1e-12.
WRONG_SIDE = 7.0
_NODES, _WEIGHTS = special.roots_legendre(16)  # power is right to 0.02 points
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2

_FINE_NODES, _FINE_WEIGHTS = special.roots_legendre(64)
_FINE_NODES, _FINE_WEIGHTS = (_FINE_NODES + 1) / 2, _FINE_WEIGHTS / 2

#: A test whose worst size is below so many alpha is trusted as it is.
TOLERANCE = 1.05
#: So many times the first guess no difference was ever found that was not found before.
FARTHEST = 1e9
_RATIOS = tuple(float(ratio) for ratio in np.exp(np.linspace(-3, 3, 13)))

#: (true difference, n) → power
Curve = Callable[[float, int], float]


def one_sample_power(effect: float, sd: float, n: int, alpha: float, critical: float | None = None) -> float:
    """Power of the t test on n differences with this sd: the noncentral t distribution, exact.

    `critical`: the |t| from which on the test rejects, where it is no t test at alpha; infinite where it never does.
    """
    if critical == math.inf:
        return 0.0
    reached = t_quantile(alpha, n - 1) if critical is None else np.asarray(critical)
    return float(_two_sided(effect / sd * math.sqrt(n), n - 1, reached))


def student_power(effect: float, sd: float, n_b: int, n_c: int, alpha: float) -> float:
    """Power of Student's test with common sd: the noncentral t distribution, exact."""
    df = n_b + n_c - 2
    return float(_two_sided(effect / (sd * math.sqrt(1 / n_b + 1 / n_c)), df, t_quantile(alpha, df)))


def welch_power(effect: float, sd_b: float, sd_c: float, n_b: int, n_c: int, alpha: float) -> float:
    """Power of Welch's test, its random degrees of freedom included.

    Given the ratio of the two sample variances, the statistic is a scaled noncentral t with n_b + n_c - 2
    degrees of freedom, and the share of the first in their sum is Beta((n_b-1)/2, (n_c-1)/2); what is left is
    one integral over that share, by Gauss-Legendre in its quantiles.
    """
    true_se = math.sqrt(sd_b**2 / n_b + sd_c**2 / n_c)
    critical = _welch_critical(sd_b / true_se, sd_c / true_se, n_b, n_c, alpha)
    return float(_WEIGHTS @ _two_sided(effect / true_se, n_b + n_c - 2, critical))


@lru_cache(maxsize=256)
def welch_size(n_b: int, n_c: int, alpha: float) -> float:
    """How often Welch's test errs at level alpha, for the ratio of spreads (1/20 to 20) that is worst for it.

    Near alpha for equal n; above it for a small arm against a large one.
    """
    return max(welch_power(0.0, 1.0, ratio, n_b, n_c, alpha) for ratio in _RATIOS)


@lru_cache(maxsize=256)
def welch_level(n_b: int, n_c: int, alpha: float) -> float:
    """The level at which Welch's test errs at most alpha, whatever the ratio of spreads."""
    level = alpha
    for _ in range(5):  # the size is nearly proportional to the level
        level *= alpha / welch_size(n_b, n_c, level)
    return level


def student_size(n_b: int, n_c: int, alpha: float) -> float:
    """How often Student's test errs at level alpha for spreads of up to 5:1; 1:5 or 5:1 is the worst of them.

    The same integral as in `welch_power`, over the share of the baseline in the sum of squares.
    """
    df = n_b + n_c - 2
    share = special.betaincinv((n_b - 1) / 2, (n_c - 1) / 2, _FINE_NODES)
    sds = np.array([[1.0, 5.0], [5.0, 1.0]])[:, :, None]  # (arm, ratio, node)
    true_se = np.sqrt(sds[0] ** 2 / n_b + sds[1] ** 2 / n_c)
    var_b, var_c = sds[0] ** 2 * share * df / (n_b - 1), sds[1] ** 2 * (1 - share) * df / (n_c - 1)
    seen = student(0.0, var_b, n_b, var_c, n_c)
    sizes = t_tails(t_quantile(alpha, df) * seen.se / true_se, df) @ _FINE_WEIGHTS
    return float(max(sizes))


@lru_cache(maxsize=4096)
def student_level(n_b: int, n_c: int, alpha: float) -> float:
    """The level at which Student's test errs at most alpha for spreads of up to 5:1; alpha where it nearly does."""
    if student_size(n_b, n_c, alpha) <= TOLERANCE * alpha:
        return alpha
    low, high = math.log(alpha) - 40, math.log(alpha)
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if student_size(n_b, n_c, math.exp(middle)) > alpha else (middle, high)
    return math.exp(low)


@lru_cache(maxsize=1024)
def _welch_critical(sd_b: float, sd_c: float, n_b: int, n_c: int, alpha: float) -> Array:
    """Critical values of the noncentral t at each node, for sds in units of the true standard error."""
    df = n_b + n_c - 2
    share = special.betaincinv((n_b - 1) / 2, (n_c - 1) / 2, _NODES)
    # Sample variances for a total of df; the total itself is the noncentral t's own chi-square.
    seen = welch(0.0, sd_b**2 * share * df / (n_b - 1), n_b, sd_c**2 * (1 - share) * df / (n_c - 1), n_c)
    return np.asarray(t_quantile(alpha, seen.df) * seen.se)


def n_for(curve: Curve, effect: float, guess: int, least: int = 2, power: float = POWER) -> int:
    """The smallest n ≥ least with curve(effect, n) ≥ power; the curve must rise with n."""
    low, high, step = least - 1, max(least, guess), 1
    while curve(effect, high) < power:
        low, high, step = high, high + step, 2 * step
    step = 1
    while high - step > low and curve(effect, high - step) >= power:
        high, step = high - step, 2 * step
    low = max(low, high - step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if curve(effect, middle) < power else (low, middle)
    return high


def effect_for(curve: Curve, n: int, guess: float, power: float = POWER) -> float:
    """The smallest true difference with curve(·, n) ≥ power, to 1e-6 of itself; `guess` > 0 starts the search.

    Infinite where no difference has that power: a test for many looks that this n cannot decide.
    """
    low, below, high = 0.0, -power, guess  # the exact power at 0 does not matter, its sign does
    while (above := curve(high, n) - power) < 0:
        if high > FARTHEST * guess:
            return math.inf
        low, below, high = high, above, 2 * high
    while high - low > 1e-6 * high:
        middle = (low * above - high * below) / (above - below)  # regula falsi, Illinois weights
        found = curve(middle, n) - power
        if abs(found) < 1e-6:
            return middle
        if found < 0:
            low, below, above = middle, found, above / 2
        else:
            high, above, below = middle, found, below / 2
    return high


def normal_n(effect: float, variance: float, alpha: float, power: float = POWER) -> float:
    """n by the normal approximation, where `variance` is that of one pair's difference: a first guess."""
    quantiles = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    ratio = quantiles * math.sqrt(variance) / effect
    return ratio * ratio  # inf, where a power would overflow


def _two_sided(shift: float, df: float, critical: Array) -> Array:
    """P(|T| > critical) for noncentral t with this shift."""
    shift = abs(shift)
    # scipy gives NaN for a far tail on the wrong side, where the probability is below 1e-10, and on the right
    # side where shift or df leave its series' range, where the normal approximation holds.
    wrong_side = np.nan_to_num(special.nctdtr(df, shift, -critical), nan=0.0) if shift < WRONG_SIDE else 0.0
    right_side = 1 - special.nctdtr(df, shift, critical)
    normal = special.ndtr((shift - critical) / np.sqrt(1 + np.square(critical) / (2 * df)))
    return np.asarray(wrong_side + np.where(np.isnan(right_side), normal, right_side))
