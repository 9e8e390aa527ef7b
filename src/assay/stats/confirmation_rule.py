"""Selection and confirmation: which experiment may ask to be accepted, and when fresh seeds say yes.

An experiment is selected because it looks good, so its own numbers overstate it; what is accepted is measured again,
both arms, with seeds that chose nothing. Covers: the levels of repeated attempts, how many replicates they take in the
design that was declared, the decision, vectorised so that a simulation runs the very rule that decides. Not covered:
measuring, what pairs correlate (`stats.pair_correlation`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.core.errors import UsageError
from assay.stats import statistical_power
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm, compare_arms
from assay.stats.corrected_resampled_ttest import widened
from assay.stats.difference_estimate import welch
from assay.stats.verdict_rule import sign

#: chance, one-sided, that an idea worth nothing is ever confirmed, however often it is tried
ALPHA = 0.025
#: a confirmation is made large enough to find so many standard deviations with this power
GAIN, POWER = 2.0, 0.9
#: so many splits, times their overlap, leave a variance within a quarter of that of any number
ENOUGH = 4.0


def level(attempt: int, confirmation: int = 1) -> float:
    """One-sided level of the `attempt`-th confirmation of one idea (from 1), which is the `confirmation`-th of any idea
    against one baseline: the smaller of ALPHA / 2^attempt and 2 ALPHA / (confirmation (confirmation + 1)).

    The first part keeps one idea at ALPHA however often it is tried, where five free attempts at 0.025 would be wrong
    1 - 0.975^5 = 11.9 % of the time. The second keeps a baseline at 1.5 ALPHA, whatever ideas are called: its levels
    add up to 2 ALPHA, of which the first part cuts half an ALPHA off the first.
    """
    for name, value in (("attempt", attempt), ("confirmation", confirmation)):
        if value < 1:
            raise UsageError(f"{name} is {value}", allowed="1, 2, …")
    return min(float(np.ldexp(ALPHA, -attempt)), 2 * ALPHA / (confirmation * (confirmation + 1)))


def replicates(
    one_sided: float, least: int, *, fixed: bool = False, pairs: float | None = None, overlap: float | None = None
) -> int:
    """The smallest number an arm, `least` or more, that confirms a gain of two standard deviations with 90 % power.

    `fixed`: the baseline is a floor, which has no replicates. `pairs`: in a paired design what its pairs correlate at
    least (`stats.pair_correlation`), None without one. The level holds at any n: fresh seeds chose nothing, their
    number included. `overlap`: on splits drawn anew, where more than ENOUGH / overlap find little more and are not
    asked for.
    """
    first = max(least, 2)

    def curve(gain: float, n: int) -> float:
        return chance(one_sided, n, gain, fixed=fixed, pairs=pairs, overlap=overlap)

    most = None if overlap is None else max(first, math.ceil(ENOUGH / overlap))
    if most is not None and curve(GAIN, most) < POWER:
        return most
    return statistical_power.n_for(curve, GAIN, first, first, POWER)


def chance(
    one_sided: float,
    n: int,
    gain: float,
    *,
    fixed: bool = False,
    pairs: float | None = None,
    overlap: float | None = None,
) -> float:
    """How likely n replicates an arm confirm a true gain of so many standard deviations; options as in `replicates`."""
    alpha = 2 * one_sided
    if fixed:
        return statistical_power.one_sample_power(gain, widened(1.0, n, overlap), n, alpha)
    if pairs is not None:
        sd = math.sqrt(max(2 * (1 - pairs), 1e-6))
        return statistical_power.one_sample_power(gain, widened(sd, n, overlap), n, alpha)
    return statistical_power.welch_power(gain, 1.0, 1.0, n, n, alpha)


def confirm(
    baseline: float | MeasuredArm,
    candidate: MeasuredArm,
    direction: str,
    attempt: int,
    confirmation: int = 1,
    *,
    worst: float | None = None,
    min_effect: float = 0.0,
    test: str = "welch",
    fixed: bool = False,
    distinct: bool = False,
) -> Comparison:
    """Fresh replicates of both arms, judged for the `attempt`-th time; confirmed where the verdict is `progress`.

    `confirmation` counts all attempts against this baseline, of whatever idea. A bare number as baseline is a fixed
    value, such as a floor. `test` is welch, paired or resampled, as the design was declared; the rest as in
    `compare_arms`.

    The interval is two-sided at twice the level, so that its better end is the one-sided bound.
    """
    return compare_arms(
        baseline,
        candidate,
        direction,
        alpha=2 * level(attempt, confirmation),
        min_effect=min_effect,
        worst=worst,
        test=test,
        fixed=fixed,
        distinct=distinct,
    )


def better(baseline: ArrayLike, candidate: ArrayLike, direction: str, alpha: ArrayLike) -> NDArray[np.bool_]:
    """Whether Welch's two-sided interval at 1 - alpha lies on the good side of 0: the verdict `progress`.

    `baseline` (…, n) and `candidate` (…, m) hold the values of one replicate along their last axis;
    `alpha` and the leading axes broadcast. For finite arms of about equal size and with spread, as `compare`
    decides them; it holds back on the others.
    """
    b, c = np.asarray(baseline, float), np.asarray(candidate, float)
    delta = c.mean(axis=-1) - b.mean(axis=-1)
    contrast = welch(delta, b.var(axis=-1, ddof=1), b.shape[-1], c.var(axis=-1, ddof=1), c.shape[-1])
    low, high = contrast.interval(np.asarray(alpha, float))  # type: ignore[arg-type]
    return np.asarray(low > 0 if sign(direction) > 0 else high < 0)
