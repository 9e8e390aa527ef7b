"""What a gain costs: both arms' training and inference time and size; a caution where it is many times as much.

Not covered: measuring them (`replicates`), and prices that only one arm has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: seconds that must be behind a measured time for a ratio of two to say anything
SHORTEST = 0.001


@dataclass(frozen=True)
class Expense:
    """One price of both arms, for one replicate: `what` it is, and how much of that `unit`."""

    what: str
    unit: str
    baseline: float
    candidate: float
    measured: float = math.inf  # seconds of the clock behind the shorter measurement; a number that is counted has none


def over(expenses: Iterable[Expense], most: float) -> Iterator[str]:
    """A line for each price of the candidate that is more than `most` times the baseline's: a caution, or why none."""
    for one in expenses:
        if one.baseline <= 0 or one.candidate <= most * one.baseline:
            continue
        if one.measured < SHORTEST:
            yield (
                f"the candidate's {one.what} is not held against judge.max_cost: {1000 * one.measured:.2g} ms were "
                f"measured in all, and below {1000 * SHORTEST:g} ms the clock and other work decide"
            )
        else:
            yield (
                f"caution: the gain costs {one.candidate / one.baseline:.3g} times the baseline's {one.what} "
                f"({_shown(one.candidate)} against {_shown(one.baseline)} {one.unit}); judge.max_cost is {most:g}"
            )


def _shown(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:.3g}"
