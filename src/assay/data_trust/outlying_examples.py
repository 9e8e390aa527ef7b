"""Examples far from all others: by one column of numbers, by their size, by all numbers together.

Far is a robust score: the distance to the median in units of 1.4826 times the median absolute deviation on that side
(Iglewicz & Hoaglin 1993). Medians are those of up to 20,000 training examples drawn at random; all examples are then
looked at, some at a time. Not covered: what to do with them: an outlier may be the most important example there is.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.data.storage import arrow
from assay.data_trust.column_drift import column_names
from assay.data_trust.example_vectors import VectorSpace
from assay.data_trust.examples_of_all_parts import PIECE, PartedExamples

#: scores from here on are outliers: one in 10^15 of a normal distribution
FAR = 8.0
#: examples that medians are made of, columns that are looked at one by one
SAMPLE, MOST_COLUMNS = 20_000, 512
_MAD = 1.4826

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OutlyingExample:
    """`what` is a column's name, `size`, or `all numbers`; `value` what it is there."""

    row: int
    what: str
    value: float
    score: float


def find(
    examples: PartedExamples, space: VectorSpace | None, sizes: NDArray[np.float64] | None, unit: str, most: int
) -> tuple[int, list[OutlyingExample]]:
    """How many examples are far by anything, and the `most` farthest. `sizes` (N,) in `unit` where there are any."""
    found: list[OutlyingExample] = []
    rows: set[int] = set()
    columns = column_names(examples.parts["train"])
    if columns is not None and space is not None and len(columns) <= MOST_COLUMNS and len(columns) == len(space.mean):
        _by_columns(examples, space, columns, found, rows)
    if space is not None:
        _keep(found, rows, "all numbers", _lengths(examples, space), from_above=True)
    if sizes is not None:
        _keep(found, rows, f"size in {unit}", np.log1p(sizes), shown=sizes)
    found.sort(key=lambda one: (-one.score, one.row))
    return len(rows), found[:most]


def robust(values: Array, reference: Array) -> Array:
    """Scores of `values` (n, …) by the median and spread of `reference` (m, …); 0 where there is no spread.

    Values above the median and below it have a spread each: a column with a long tail on one side, as dark pixels
    have, would otherwise be far from itself.
    """
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a column of nothing but NaN
        middle = np.nanmedian(reference, axis=0)
        distance = np.abs(reference - middle)
        below, above = (
            _MAD * np.nanmedian(np.where(side, distance, np.nan), axis=0)
            for side in (reference <= middle, reference >= middle)
        )
        spread = np.where(values >= middle, above, below)
        found = np.where(spread > 0, np.abs(values - middle) / np.where(spread > 0, spread, 1.0), 0.0)
    return np.nan_to_num(found, nan=0.0)


def _by_columns(
    examples: PartedExamples,
    space: VectorSpace,
    columns: Sequence[str],
    found: list[OutlyingExample],
    rows: set[int],
) -> None:
    train = examples.parts["train"]
    some = np.sort(np.random.default_rng(0).choice(len(train), min(SAMPLE, len(train)), replace=False))
    reference = space.raw(train, some).astype(np.float64)
    for piece in examples.pieces():
        raw = space.raw(examples.parts[piece.part], piece.within).astype(np.float64)
        scores = robust(raw, reference)
        far = np.argwhere(scores >= FAR)
        rows.update(piece.rows[far[:, 0]].tolist())
        order = np.argsort(-scores[far[:, 0], far[:, 1]], kind="stable")[:100]
        for at, column in far[order].tolist():
            value, score = float(raw[at, column]), float(scores[at, column])
            found.append(OutlyingExample(int(piece.rows[at]), columns[column], value, score))


def _lengths(examples: PartedExamples, space: VectorSpace) -> Array:
    """(N,) distance of each example from the mean, in usual distances."""
    found = np.empty(len(examples))
    for piece in examples.pieces():
        squares = np.square(space.vectors(examples, piece)).sum(axis=1)
        found[piece.rows] = np.sqrt(squares / max(1, space.varying))
    return found


def _keep(
    found: list[OutlyingExample],
    rows: set[int],
    what: str,
    values: Array,
    *,
    shown: Array | None = None,
    from_above: bool = False,
) -> None:
    some = np.random.default_rng(0).choice(len(values), min(SAMPLE, len(values)), replace=False)
    reference = values[some]
    scores = robust(values, reference)
    if from_above:  # nobody is too near the mean
        scores = np.where(values > np.median(reference), scores, 0.0)
    far = np.flatnonzero(scores >= FAR)
    rows.update(far.tolist())
    for row in far[np.argsort(-scores[far], kind="stable")][:1000].tolist():
        value = values[row] if shown is None else shown[row]
        found.append(OutlyingExample(int(row), what, float(value), float(scores[row])))


def sizes(examples: PartedExamples) -> tuple[Array, str] | None:
    """(N,) the size of each input and its unit: characters, bytes, pixels, numbers; None where all are alike."""
    train: Any = arrow(examples.parts["train"].inputs)
    if train is None or train.form == "table":
        return None
    found = np.empty(len(examples))
    for name, part in examples.parts.items():
        stored: Any = arrow(part.inputs)
        for begin in range(0, len(part), PIECE):
            table = stored.table.slice(begin, PIECE)
            start = examples.starts[name] + begin
            found[start : start + len(table)] = _of_table(table, stored.form)
    return found, {"texts": "characters", "files": "bytes", "ragged": "numbers"}[train.form]


def _of_table(table: Any, form: str) -> list[int]:
    if form == "texts":
        return [len(text) for text in table.column("text").to_pylist()]
    if form == "files":
        return [value.as_buffer().size for value in table.column("content")]
    shapes = table.column("shape").to_pylist()
    return [int(np.prod([int(side) for side in shape.split(",") if side])) for shape in shapes]
