"""Many comparisons: within a declared family, and against the same baseline over time."""

from __future__ import annotations

from collections.abc import Sequence

from assay.core.errors import UsageError


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p of a family of comparisons, in the given order: (k,) numbers from 0 to 1.

    Rejecting those that are at most alpha errs in the whole family at most alpha, however they depend on each other
    (Holm 1979, Scandinavian Journal of Statistics 6:65). Raises `UsageError` for a p outside 0 to 1.
    """
    for value in p:
        if not 0 <= value <= 1:
            raise UsageError(f"p is {value}", allowed="0 to 1")
    adjusted, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def decided(alone: str, p_holm: float, alpha: float, strict: str) -> str:
    """What holds in the whole family: a difference by Holm, equivalence by an interval that covers all of them.

    `alone` is the comparison's own verdict, `strict` its verdict at alpha over the size of the family.
    """
    if alone in ("progress", "regression"):
        return alone if p_holm <= alpha else "inconclusive"
    return alone if alone == strict else "inconclusive"
