"""Guards against spreads that differ: the wider interval that a verdict must survive beside its own.

p and interval of a method stay what every other program gives. Covers: Welch at uneven n; Student and permutation,
which take both spreads for equal and err up to .46 at 5:1. Not covered: the sizes themselves (`statistical_power`).
"""

from __future__ import annotations

from assay.stats import difference_estimate, statistical_power
from assay.stats.difference_estimate import Contrast

#: Above this n Welch errs in at most 5.3 % at 5 %, whatever the other arm's n and spread.
LARGE_ENOUGH = 8
EQUAL = "{} takes both spreads for equal, and with one arm five times wider the verdict would not hold: use welch"

Ends = tuple[float, float]


def welch(contrast: Contrast, n_b: int, n_c: int, alpha: float) -> Ends | None:
    """For unequal n at which Welch errs too often: the interval at the level that makes up for it."""
    small, large = sorted((n_b, n_c))
    if (
        small == large
        or small > LARGE_ENOUGH
        or statistical_power.welch_size(small, large, alpha) <= statistical_power.TOLERANCE * alpha
    ):
        return None
    return _ends(contrast, statistical_power.welch_level(small, large, alpha))


def student(contrast: Contrast, n_b: int, n_c: int, alpha: float) -> Ends | None:
    """The interval at the level that holds alpha for spreads of up to 5:1; None where Student holds it by itself."""
    level = statistical_power.student_level(n_b, n_c, alpha)
    return None if level == alpha else _ends(contrast, level)


def permuted(delta: float, baseline: tuple[float, int], candidate: tuple[float, int], alpha: float) -> Ends | None:
    """Welch's interval for the (variance, n) of both arms; None where neither has any spread.

    No level of its own makes a permutation safe: at n=3 against 20 and 5:1 the smallest p that exists comes by chance
    in one of twelve cases. Welch knows both spreads, and where both agree the error is at most Welch's.
    """
    if not (baseline[0] or candidate[0]):
        return None
    contrast = difference_estimate.welch(delta, *baseline, *candidate)
    return welch(contrast, baseline[1], candidate[1], alpha) or _ends(contrast, alpha)


def _ends(contrast: Contrast, level: float) -> Ends:
    low, high = contrast.interval(level)
    return float(low), float(high)
