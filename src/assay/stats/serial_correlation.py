"""Order effect: do runs that stand next to each other resemble each other, as steps of one curve or leaking state do?

Every test here takes runs for independent. Where each resembles the one before (autocorrelation 0.5), a level of 5 %
errs 22 to 26 %. Covers: a caution from the ranks of the runs in the order in which they were given. Not covered: tables
whose order means nothing; one that is sorted by its numbers looks like a trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assay.stats.arm_scores import ArmScores, Values
from assay.stats.hypothesis_tests import IN_PAIRS, Test, differences

#: Level of the caution. Both arms together spend two thirds of it, each arm by itself a sixth: what makes runs of both
#: alike is found in all of them, a drift in one would drown in the other. Then the normal quantiles.
ORDER_ALPHA, TOGETHER, SINGLE = 0.03, 2.0537, 2.5758
#: Below this n no order of the runs is rare enough.
LEAST_FOR_ORDER = 5


def cautions(baseline: ArmScores, candidate: ArmScores, test: Test) -> tuple[str, ...]:
    """One sentence, or none. An arm with diverged runs has lost its order and is left out."""
    arms = [arm for arm in (baseline, candidate) if not arm.fixed and not arm.diverged]
    if test in IN_PAIRS and len(arms) == 2 and baseline.n == candidate.n:
        arms = [differences(baseline, candidate)]
    found = [excess(arm.values) for arm in arms if arm.n >= LEAST_FOR_ORDER and arm.variance]
    if not found or not unusual(found):
        return ()
    return (
        "runs next to each other are alike: if this is their order in time they are not independent, and the interval "
        "is too short (a table sorted by its numbers looks the same)",
    )


def unusual(found: Sequence[float]) -> bool:
    """Whether arms with these excesses are in no random order, at ORDER_ALPHA."""
    return sum(found) / math.sqrt(len(found)) > TOGETHER or max(found) > SINGLE


def excess(values: Values) -> float:
    """How much closer neighbours' ranks are than in a random order, in its standard deviations; n ≥ 3.

    The rank version of von Neumann's ratio (Bartels 1982, JASA 77:40), with its exact mean 2 and variance; ties get
    their mean rank. Whatever the distribution, `unusual` in 1.5 to 3 % of random orders of 5 to 50 runs in each arm.
    """
    n = len(values)
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ratio = float(np.sum(np.diff(ranks) ** 2) / np.sum((ranks - np.mean(ranks)) ** 2))
    variance = 4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2)
    return (2 - ratio) / math.sqrt(variance)
