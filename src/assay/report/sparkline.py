"""A curve in one line of text: a block for each stretch of it, higher for larger values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
#: for a terminal whose encoding has no blocks
PLAIN = "_.-~=+*#"
#: between the largest and the smallest value from which on orders of magnitude are drawn
_WIDE = 10.0


def sparkline(
    values: Sequence[float], width: int, scale: tuple[float, float] | None = None, marks: str = BLOCKS
) -> str:
    """At most `width` marks for finite `values`; each is the mean of its stretch. `scale`: what lowest and highest mark
    stand for, those of the values where it is not given."""
    if not values or width < 1:
        return ""
    low, high = scale if scale is not None else (min(values), max(values))
    shown = _stretches(values, width)
    if low > 0 and high / low >= _WIDE:
        low, high, shown = math.log(low), math.log(high), [math.log(max(one, low)) for one in shown]
    span = high - low
    top = len(marks) - 1
    return "".join(marks[round(top * min(max((one - low) / span, 0.0), 1.0)) if span > 0 else 0] for one in shown)


def extent(curves: Iterable[Sequence[float]]) -> tuple[float, float] | None:
    """Smallest and largest value of several curves; None where they have none."""
    found = [value for curve in curves for value in curve]
    return (min(found), max(found)) if found else None


def mean(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean curve, as far as every curve goes that has begun."""
    begun = [curve for curve in curves if curve]
    length = min(map(len, begun), default=0)
    return [sum(curve[place] for curve in begun) / len(begun) for place in range(length)]


def _stretches(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    cuts = [place * len(values) // width for place in range(width + 1)]
    return [math.fsum(values[start:end]) / (end - start) for start, end in pairwise(cuts)]
