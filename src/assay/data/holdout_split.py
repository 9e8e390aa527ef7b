"""The holdout: a share of the training part, to stop early by. No judged example is in it.

Covers: by content, so that each example keeps its place when the data grow, and groups and copies stay whole; the last
examples, where the parts follow an order. Not covered: the parts themselves (`data.part_assignment`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.data import contiguous_split, train_test_split
from assay.data.example_notes import ORDER
from assay.data.storage import Examples, input_keys

_SALT = "assay holdout 1"


def held_out(train: Examples, share: float, asked: Split) -> NDArray[np.bool_]:
    """(N,) whether an example of the training part is held out: about `share` of them. Raises UsageError for none, or
    all."""
    by = contiguous_split.way(train, asked)
    found = _by_content(train, share) if by == "content" else _last(train, share, by)
    if found.all() or not found.any():
        raise UsageError(
            f"train.holdout is {share:g}, and {int(found.sum())} of {len(train)} training examples would be held out",
            allowed="some of them, and not all",
            hint="set train.holdout in params.yaml, or bring more data",
        )
    return found


def _by_content(train: Examples, share: float) -> NDArray[np.bool_]:
    units, numbers = train_test_split.units_of(train, input_keys(train), _SALT)
    few = numbers < share
    if not few.any():  # of a handful of examples: at least one
        few = numbers == numbers.min()
    elif few.all():
        few = numbers < numbers.max()
    chosen: NDArray[np.bool_] = few[units]
    return chosen


def _last(train: Examples, share: float, by: str) -> NDArray[np.bool_]:
    """The latest examples; of equal times all, or none."""
    places = train.notes[ORDER] if by == "time" and ORDER in train.notes else np.arange(len(train))
    border = np.sort(places)[min(len(places) - 1, round((1 - share) * len(places)))]
    found: NDArray[np.bool_] = places >= border
    return found
