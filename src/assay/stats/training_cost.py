"""What a gain costs: both arms' training time and size, and a caution where the candidate takes many times as much.

Not covered: measuring them (`keeping`), and prices that only one arm has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Expense:
    """One price of both arms, for one replicate: `what` it is, and how much of that `unit`."""

    what: str
    unit: str
    baseline: float
    candidate: float


def over(expenses: Iterable[Expense], most: float) -> Iterator[str]:
    """A sentence for each price of the candidate that is more than `most` times the baseline's."""
    for one in expenses:
        if one.baseline > 0 and one.candidate > most * one.baseline:
            yield (
                f"the gain costs {one.candidate / one.baseline:.3g} times the baseline's {one.what} "
                f"({_shown(one.candidate)} against {_shown(one.baseline)} {one.unit}); judge.max_cost is {most:g}"
            )


def _shown(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:.3g}"
