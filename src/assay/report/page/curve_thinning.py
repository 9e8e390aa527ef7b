"""Long curves with fewer points: what stands out stays.

Covers: equal bins along the curve, of each its smallest and its largest value, and both ends of the curve; gaps stay
gaps. Not covered: drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

#: points of one curve that a page holds
MOST = 200

Point = tuple[float, float | None]


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most `MOST` of (x, y) in their order; y is None where there is no finite value.

    Each bin keeps its extremes and one gap, if it has any.
    """
    if len(points) <= MOST:
        return list(points)
    bins = (MOST - 2) // 3
    inner = range(1, len(points) - 1)
    kept = {0, len(points) - 1}
    for number in range(bins):
        inside = inner[math.floor(number * len(inner) / bins) : math.floor((number + 1) * len(inner) / bins)]
        kept |= _telling(points, inside)
    return [points[place] for place in sorted(kept)]


def _telling(points: Sequence[Point], inside: Sequence[int]) -> set[int]:
    finite = [place for place in inside if points[place][1] is not None]
    gaps = [place for place in inside if points[place][1] is None]
    found = set(gaps[:1])
    if finite:
        found |= {min(finite, key=lambda place: points[place][1] or 0.0)}
        found |= {max(finite, key=lambda place: points[place][1] or 0.0)}
    return found
