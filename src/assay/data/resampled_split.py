"""Splits drawn anew: training and validation parts from their union, another pair for each replicate.

Covers: units and classes as `data.train_test_split` keeps them; a validation window at a random place where examples
stand in an order, of which nothing later trains; other blocks. The test part is in none of it. Not covered: which
numbers decide a draw (`replicates.replicate_seeds`), reading the parts (`replicates.split_examples`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.data import contiguous_split, train_test_split
from assay.data.example_notes import ORDER
from assay.data.storage import Examples
from assay.runtime.example_ids import Keys

Mask = NDArray[np.bool_]
#: share of the union that lies before a validation window at least, where examples stand in an order
BEFORE = 0.5


class DrawnSplit(NamedTuple):
    """(N,) of the union each: which examples train and which are predicted; none does both, a gap is in neither."""

    train: Mask
    validation: Mask


class JoinedParts(NamedTuple):
    """Training and validation part together. `examples` carry no inputs; `keys` (N,) are those of the inputs.

    `validated`: how many of them the split of the project validates on. `places`: row of each example among all that
    prepare() gave, and how many those are; None but for blocks.
    """

    examples: Examples
    keys: Keys
    validated: int
    asked: Split
    places: tuple[NDArray[np.int64], int] | None = None

    @property
    def by(self) -> str:
        """content, order or time."""
        return contiguous_split.way(self.examples, self.asked)


def draw(joined: JoinedParts, salt: str) -> DrawnSplit:
    """The split that `salt` draws. Raises UsageError where one of its parts would be empty."""
    if joined.by == "content":
        found = _by_units(joined, salt)
    elif joined.asked.blocks is not UNSET:
        found = _other_blocks(joined, salt)
    else:
        found = _window(joined, salt)
    found = DrawnSplit(found.train & ~_shares_group(joined.examples, found), found.validation)
    for name, rows in found._asdict().items():
        if not rows.any():
            raise UsageError(
                f"the {name} part of a drawn split would be empty: training and validation part have {len(rows)} "
                "examples together",
                hint="bring more data, or remove split from vary in params.yaml",
            )
    return found


def _by_units(joined: JoinedParts, salt: str) -> DrawnSplit:
    """Copies and groups stay whole, and each class has its share in both parts."""
    units, numbers = train_test_split.units_of(joined.examples, joined.keys, salt)
    sizes, strata = np.bincount(units), train_test_split.strata_of(joined.examples, units)
    share = joined.validated / len(joined.keys)
    chosen = np.zeros(len(numbers), dtype=bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        members = members[np.argsort(numbers[members], kind="stable")]
        filled = np.cumsum(sizes[members])
        chosen[members] = (filled - sizes[members] / 2) / filled[-1] < share
    return DrawnSplit(~chosen[units], chosen[units])


def _window(joined: JoinedParts, salt: str) -> DrawnSplit:
    """As many examples as the project validates on, from a random place on; what comes before them trains.

    Equal times are on one side, and the gap lies before the window. What comes after it is in neither part.
    """
    count = len(joined.keys)
    places = joined.examples.notes[ORDER] if joined.by == "time" else np.arange(count, dtype=np.float64)
    rows = np.argsort(places, kind="stable")
    ordered = places[rows]
    gap = 0.0 if joined.asked.gap is UNSET else joined.asked.gap
    first, last = round(BEFORE * count), count - joined.validated
    start = first + int(_number(salt) * (max(first, last) - first + 1))
    border = int(np.searchsorted(ordered, ordered[min(start, count - 1)], side="left"))
    train, validation = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    validation[rows[border : border + joined.validated]] = True
    # of rows so many are left out; of times those that are nearer than the gap
    before = ordered <= ordered[border] - gap - (joined.by == "order")
    train[rows[:border][before[:border]]] = True
    return DrawnSplit(train, validation)


def _other_blocks(joined: JoinedParts, salt: str) -> DrawnSplit:
    assert joined.places is not None and joined.asked.blocks is not UNSET
    rows, count = joined.places
    gap = 0 if joined.asked.gap is UNSET else int(joined.asked.gap)
    parts = contiguous_split.blocked(count, joined.asked, joined.asked.blocks, gap, salt)[rows]
    return DrawnSplit(parts == "train", parts == "validation")


def _number(salt: str) -> float:
    """In [0, 1), from the salt alone."""
    return float(train_test_split.numbers_of([""], salt)[0])


def _shares_group(examples: Examples, found: DrawnSplit) -> Mask:
    """(N,) whether an example's group is validated on: a border that is drawn may cut one."""
    if examples.groups is None:
        return np.zeros(len(found.train), dtype=bool)
    return np.isin(examples.groups, examples.groups[found.validation])
