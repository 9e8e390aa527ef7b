"""The verdict: a word for where an interval lies. Every path to a verdict ends here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from assay.core.errors import UsageError

Verdict = Literal["progress", "regression", "equivalent", "inconclusive", "incomparable"]
Direction = Literal["maximize", "minimize"]


def sign(direction: str) -> int:
    """+1 where more is better, -1 where less is."""
    if direction not in get_args(Direction):
        raise UsageError(f"direction is {direction!r}", allowed="maximize, minimize")
    return 1 if direction == "maximize" else -1


def best(values: Mapping[str, float], direction: str) -> str:
    """The name of the best value, as of the floor that is hardest to beat; of equals the first."""
    return max(values, key=lambda name: sign(direction) * values[name])


def good(low: float, high: float, direction: str) -> tuple[float, float]:
    """The interval turned so that more is better."""
    return (low, high) if sign(direction) > 0 else (-high, -low)


def verdict(low: float, high: float, direction: str, min_effect: float) -> Verdict:
    """The word for the interval [low, high] of candidate - baseline.

    With min_effect = 0 there is no smallest effect that matters, and `equivalent` cannot be had.
    """
    low, high = good(low, high, direction)
    if -min_effect < low and high < min_effect:
        return "equivalent"
    if low > 0:
        return "progress"
    if high < 0:
        return "regression"
    return "inconclusive"


def no_regression(low: float, high: float, direction: str, min_effect: float) -> bool:
    """Non-inferiority is proved: a loss of min_effect or more is outside the interval."""
    return good(low, high, direction)[0] > -min_effect
