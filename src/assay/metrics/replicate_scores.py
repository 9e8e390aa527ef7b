"""Predictions of an arm's replicates to scores: the one way, for `evaluate`, `accept`, `rescore` and `compare`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from assay.core.schemas import Replicate

T = TypeVar("T")
Array = NDArray[Any]


def scored(
    replicates: Sequence[Replicate], predictions: Array, score: Callable[[Array, str], T], who: str
) -> list[T | None]:
    """What `score` gives for each replicate's predictions (R, N, …), None where it diverged.

    `who` begins the name of a replicate in an error: `candidate replicate` and its number.
    """
    pairs = zip(replicates, predictions, strict=True)
    return [None if one.diverged is not None else score(row, f"{who} {one.number}") for one, row in pairs]


def same_as(replicates: Sequence[Replicate], predictions: Array) -> dict[int, int]:
    """Replicate → the earlier one with the same predictions, bit for bit: its seed did not reach the training."""
    seen: dict[bytes, int] = {}
    found = {}
    for replicate, row in zip(replicates, predictions, strict=True):
        first = seen.setdefault(hashlib.blake2b(row.tobytes()).digest(), replicate.number)
        if first != replicate.number and replicate.diverged is None:
            found[replicate.number] = first
    return found
