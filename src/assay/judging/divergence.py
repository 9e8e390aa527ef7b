"""Diverged replicates: is one arm more fragile than the other?

Covers: Fisher's exact test on two counts, and how often a failure may go unseen. Not covered: what a
diverged replicate does to the verdict (`compare`).
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
RARE = 0.1  # a failure once in ten runs: common in practice, and enough to turn a gain into a loss


def fisher(diverged_b: int, n_b: int, diverged_c: int, n_c: int) -> float:
    """Two-sided p of equal divergence, `diverged` of `n` replicates each (Fisher 1922, JRSS 85:87).

    Sums the tables that are no more likely than the one seen, in exact integers.
    """
    failures = diverged_b + diverged_c

    def ways(in_b: int) -> int:
        return math.comb(n_b, in_b) * math.comb(n_c, failures - in_b)

    seen = ways(diverged_b)
    tables = [ways(k) for k in range(max(0, failures - n_c), min(n_b, failures) + 1)]
    return sum(count for count in tables if count <= seen) / math.comb(n_b + n_c, failures)


def unseen_rate(n: int) -> float:
    """The failure rate that n runs without a failure leave possible at 95 %.

    Hanley & Lippman-Hand 1983, JAMA 249:1743, "If nothing goes wrong, is everything all right?"
    """
    return 1 - math.pow(1 - CONFIDENCE, 1 / n)
