"""Correlation of a paired design, as far as the pairs at hand show it: what a confirmation of that design is sized by.

Covers: a lower bound from the seeds that both arms share. Not covered: the r printed beside a verdict
(`stats.effect_sizes`), sample sizes (`stats.confirmation_rule`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from assay.stats import effect_sizes
from assay.stats.arm_scores import ArmScores, Values

#: one-sided quantile of the bound: 90 %
QUANTILE = 1.2816
#: so many pairs and fewer tell nothing about r
FEW = 3


class PairCorrelation(NamedTuple):
    """`measured`: Pearson's r over so many `pairs`, None where they tell nothing. `least`: what is counted on."""

    measured: float | None
    pairs: int
    least: float


def measured(baseline: Values, candidate: Values) -> PairCorrelation:
    """From (n,) values of both arms in the order of their shared seeds.

    `least` is the lower end of a one-sided 90 % interval (Fisher 1921), at most the r measured. Sharing seeds is a
    reason to be alike and none to be unlike, so it goes below 0 only where the r measured does. Arms of different
    spread have less in common than r says: `least` is cov / mean variance, which a difference in the arms' usual sd
    depends on.
    """
    arms = ArmScores(baseline), ArmScores(candidate)
    found = effect_sizes.correlation(*arms)
    if found is None or len(baseline) <= FEW:
        return PairCorrelation(found, len(baseline), 0.0)
    low = math.tanh(math.atanh(max(-0.999999, min(found, 0.999999))) - QUANTILE / math.sqrt(len(baseline) - 3))
    sd_b, sd_c = (arm.sd or 0.0 for arm in arms)
    uneven = 2 * sd_b * sd_c / (sd_b**2 + sd_c**2)
    least = max(low, 0.0) * uneven if found >= 0 else found  # of a negative r all counts
    return PairCorrelation(found, len(baseline), least)


#: where no pair was seen
UNKNOWN = PairCorrelation(None, 0, 0.0)
