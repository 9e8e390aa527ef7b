"""Several targets an example: a dict of arrays, kept as one table (N, K) and taken apart where a task sees them.

So that splitting, hashing, batching and sealing know one kind of targets. Covers: NumPy. Not covered: tensors
(`training.target_tensors`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError

#: largest whole number that the table keeps exactly
LARGEST = 2**53


class TargetPart(NamedTuple):
    """One of several targets: its columns in the table."""

    name: str
    shape: tuple[int, ...]  # of one example
    dtype: str  # as prepare() gave it
    first: int
    end: int

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers."""
        return np.dtype(self.dtype).kind in "biu"


def packed(targets: Mapping[str, NDArray[Any]], where: str) -> tuple[NDArray[np.float64], tuple[TargetPart, ...]]:
    """The table (N, K) of all `targets`, each (N, …), and where each of them lies. `where` names the file in errors."""
    for name, array in targets.items():
        if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > LARGEST:
            raise UsageError(
                f"{where}: targets[{name!r}] has numbers beyond {LARGEST}", allowed="smaller whole numbers"
            )
    parts = tuple(_parts(targets))
    flat = [array.reshape(len(array), -1).astype(np.float64) for array in targets.values()]
    return np.concatenate(flat, axis=1), parts


def unpacked(table: NDArray[Any], parts: Sequence[TargetPart]) -> dict[str, NDArray[Any]]:
    """Name → (N, …) as prepare() gave it: the inverse of `packed`."""
    return {one.name: table[:, one.first : one.end].reshape(len(table), *one.shape).astype(one.dtype) for one in parts}


def described(parts: Sequence[TargetPart]) -> list[list[Any]]:
    """For the manifest of a part: name, shape and kind of numbers."""
    return [[one.name, list(one.shape), one.dtype] for one in parts]


def read(described: Sequence[Sequence[Any]]) -> tuple[TargetPart, ...]:
    """The inverse of `described`."""
    found, first = [], 0
    for name, shape, dtype in described:
        end = first + math.prod(shape)
        found.append(TargetPart(str(name), tuple(shape), str(np.dtype(dtype)), first, end))
        first = end
    return tuple(found)


def _parts(targets: Mapping[str, NDArray[Any]]) -> Iterator[TargetPart]:
    first = 0
    for name, array in targets.items():
        end = first + math.prod(array.shape[1:])
        yield TargetPart(name, array.shape[1:], str(array.dtype), first, end)
        first = end
