"""Diverged replicates: is one arm more fragile than the other?

Covers: Fisher's exact test on two counts, and how many failures a sample leaves possible. Not covered: what a
diverged replicate does to the verdict (`compare`).
"""

from __future__ import annotations

import math

from scipy import special

CONFIDENCE = 0.95


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


def failures_below(failed: int, n: int) -> float | None:
    """The share of failing runs that `failed` of n leave possible at 95 %; None where nothing below 1 is excluded.

    Clopper & Pearson 1934, Biometrika 26:404, one-sided; without a failure it is 1 - 0.05^(1/n) (Hanley &
    Lippman-Hand 1983, JAMA 249:1743, "If nothing goes wrong, is everything all right?").
    """
    return None if failed >= n else float(special.betaincinv(failed + 1, n - failed, CONFIDENCE))
