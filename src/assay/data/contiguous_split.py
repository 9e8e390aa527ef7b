"""Contiguous parts, for examples that stand in an order: the future is tested, and nothing of it trains.

Covers: cutting by time or by the order of rows, a gap at each border, blocks. Not covered: parts by content
(`data.train_test_split`), whose promises do not hold here: when data grow, the borders move on, and what was tested
trains later.
"""

from __future__ import annotations

import hashlib

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.core.paths import PARTS
from assay.data.example_notes import ORDER
from assay.data.storage import Examples

#: what is left out between two parts
NOWHERE = ""
_SALT = "assay blocks 1"

Parts = NDArray[np.str_]


def way(examples: Examples, asked: Split) -> str:
    """content, order or time: as params.yaml says, else time where prepare() gave one."""
    if asked.by is not UNSET:
        return asked.by
    return "time" if ORDER in examples.notes else "content"


def assign(examples: Examples, asked: Split, by: str) -> Parts:
    """The part of each example (N,), NOWHERE for one that a gap leaves out.

    Raises UsageError for an order or examples that are missing, and for a group that a border cuts.
    """
    places = _places(examples, by)
    rows = np.argsort(places, kind="stable")
    parts = np.full(len(places), NOWHERE, dtype="U10")
    gap = 0.0 if asked.gap is UNSET else asked.gap
    if asked.blocks is UNSET:
        parts[rows] = _three(places[rows], asked, gap + (by == "order"))  # of rows so many are left out
    elif by == "time":
        raise UsageError(
            "split.blocks goes with split.by: order; by time, blocks of the future would train",
            hint="remove split.blocks, or set split.by: order, in params.yaml",
        )
    else:
        parts[rows] = blocked(len(rows), asked, asked.blocks, int(gap))
    _check_filled(parts, gap)
    _check_groups(examples, parts)
    return parts


def _places(examples: Examples, by: str) -> NDArray[np.float64]:
    if by == "order":
        return np.arange(len(examples), dtype=np.float64)
    if ORDER not in examples.notes:
        raise UsageError(
            "split.by is time, and prepare() gave no time",
            hint="return order, a number or date an example, from prepare(), or set split.by: order in params.yaml",
        )
    return examples.notes[ORDER]


def _three(places: NDArray[np.float64], asked: Split, gap: float) -> Parts:
    """Train, then validation, then test; equal times on one side, and a gap before each border."""
    count = len(places)
    wanted = (count - round((asked.validation + asked.test) * count), count - round(asked.test * count))
    first, second = (int(np.searchsorted(places, places[min(cut, count - 1)], side="left")) for cut in wanted)
    parts = np.full(count, "train", dtype="U10")
    parts[first:], parts[second:] = "validation", "test"
    for start, before in ((first, "train"), (second, "validation")):
        near = places > places[min(start, count - 1)] - gap
        parts[near & (parts == before) & (np.arange(count) < start)] = NOWHERE
    return parts


def blocked(count: int, asked: Split, blocks: int, gap: int, salt: str = _SALT) -> Parts:
    """Blocks of equal length, drawn by their number; at a border between parts the gap is taken of what trains.

    Another `salt` draws other blocks for validation, of those that are not tested.
    """
    if blocks < len(PARTS) or blocks > count:
        raise UsageError(f"split.blocks is {blocks}", allowed=f"{len(PARTS)} to {count}, the number of examples")
    drawn = sorted(range(blocks), key=lambda number: hashlib.blake2b(f"{_SALT} {number}".encode()).digest())
    tested = max(1, round(asked.test * blocks))
    validated = max(1, round(asked.validation * blocks))
    if salt != _SALT:
        rest = drawn[tested:]
        drawn[tested:] = sorted(rest, key=lambda number: hashlib.blake2b(f"{salt} {number}".encode()).digest())
    named = np.full(blocks, "train", dtype="U10")
    named[drawn[:tested]], named[drawn[tested : tested + validated]] = "test", "validation"
    parts = named[np.minimum(np.arange(count) * blocks // count, blocks - 1)]
    found = parts.copy()
    for border in np.flatnonzero(parts[1:] != parts[:-1]) + 1:
        weaker = "train" if "train" in (parts[border - 1], parts[border]) else "validation"
        near = slice(max(0, border - gap), border) if parts[border - 1] == weaker else slice(border, border + gap)
        found[near][parts[near] == weaker] = NOWHERE
    return found


def _check_filled(parts: Parts, gap: float) -> None:
    for name in PARTS:
        if not (parts == name).any():
            raise UsageError(
                f"the {name} part would be empty: there are {len(parts)} examples, and the gap is {gap:g}",
                hint="bring more data, or lower split.gap in params.yaml",
            )


def _check_groups(examples: Examples, parts: Parts) -> None:
    """A group lies in one part: a border that cuts one is refused, as it would be seen on both sides."""
    if examples.groups is None:
        return
    names, where = np.unique(examples.groups, return_inverse=True)
    inside = parts != NOWHERE
    pairs = np.unique(np.stack([where[inside], np.searchsorted(np.sort(PARTS), parts[inside])]), axis=1)[0]
    cut = np.flatnonzero(np.bincount(pairs, minlength=len(names)) > 1)
    if len(cut):
        raise UsageError(
            f"a border of the split cuts the group {str(names[cut[0]])!r} ({len(cut)} such of {len(names)})",
            hint="leave groups out of prepare(), or set split.by: content in params.yaml",
        )
