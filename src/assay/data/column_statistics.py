"""Mean, spread and range of each column of numbers, in one pass over rows and in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data import content_hash

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnStatistics:
    """Of `count` rows with D columns."""

    count: int
    mean: Array  # (D,)
    squares: Array  # (D,) sum of squared differences to the mean
    low: Array  # (D,)
    high: Array  # (D,)

    @property
    def spread(self) -> Array:
        """(D,) standard deviations."""
        found: Array = np.sqrt(self.squares / self.count)
        return found

    def merged(self, other: ColumnStatistics) -> ColumnStatistics:
        """Of the rows of both (Chan, Golub and LeVeque, 1983)."""
        count, gap = self.count + other.count, other.mean - self.mean
        return ColumnStatistics(
            count,
            self.mean + gap * (other.count / count),
            self.squares + other.squares + gap**2 * (self.count * other.count / count),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def overall(self) -> tuple[float, float]:
        """Mean and standard deviation of all numbers in all columns."""
        mean = float(self.mean.mean())
        squares = self.squares.sum() + self.count * np.square(self.mean - mean).sum()
        return mean, float(np.sqrt(squares / (self.count * len(self.mean))))


def statistics(array: NDArray[Any], rows: NDArray[np.integer] | None = None) -> ColumnStatistics:
    """Of an array (N, …), or of some of its rows; what lies behind the first axis are columns."""
    found: ColumnStatistics | None = None
    for part in _parts(array, rows):
        flat = part.reshape(len(part), -1)
        numbers = flat.astype(np.float64)
        mean = numbers.mean(axis=0)
        numbers -= mean
        one = ColumnStatistics(
            len(part),
            mean,
            np.einsum("ij,ij->j", numbers, numbers),
            flat.min(axis=0).astype(np.float64),
            flat.max(axis=0).astype(np.float64),
        )
        found = one if found is None else found.merged(one)
    assert found is not None  # nobody asks about no rows
    return found


def _parts(array: NDArray[Any], rows: NDArray[np.integer] | None) -> Iterator[NDArray[Any]]:
    """Some rows at a time, as many as make a piece of double precision numbers."""
    width = max(1, content_hash.row_bytes(array) // array.dtype.itemsize) * 8
    count = len(array) if rows is None else len(rows)
    for piece in content_hash.pieces(count, width):
        yield array[piece] if rows is None else array[rows[piece]]
