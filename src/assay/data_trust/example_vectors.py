"""Each example as at most 512 numbers, so that examples of any kind can be compared, a few rows at a time.

Arrays as they are; large pictures as means over squares; other large arrays as a count sketch (Charikar, Chen &
Farach-Colton 2002: each column goes into one of 256 sums, with a random sign, which keeps distances); columns of
numbers of a table; words of a text, and pairs of words at half their weight, as a count sketch; files as small pictures
where Pillow opens them. Centred and scaled by the training part. Not covered: arrays of unequal shapes.
"""

from __future__ import annotations

import importlib
import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.data import example_display
from assay.data.column_statistics import ColumnStatistics
from assay.data.column_statistics import statistics as column_statistics
from assay.data.storage import Examples, arrow
from assay.data_trust.examples_of_all_parts import PartedExamples, Piece, Rows
from assay.data_trust.image_thumbnails import SIDE, Vectors, smaller

#: numbers of an example that are compared as they are, sums of a count sketch
MOST, SUMS = 512, 256
#: scale below which a column is constant
CONSTANT = 1e-12
_WORDS = re.compile(r"\w+")


class NoVectorsError(Exception):
    """Why these examples cannot be compared with each other."""


@dataclass(frozen=True)
class VectorSpace:
    """How an input becomes numbers. `names`: of the columns, where they have any; `unit`: vectors have length 1."""

    raw: Callable[[Examples, Rows], Vectors]
    form: str
    names: Sequence[str] | None
    unit: bool
    mean: NDArray[np.float32]  # (D,) of the training part
    spread: NDArray[np.float32]  # (D,), 1 for constant columns
    varying: int  # columns that are not constant

    def vectors(self, examples: PartedExamples, piece: Piece) -> Vectors:
        """(n, D) centred and scaled; a missing number is the mean."""
        found = self.raw(examples.parts[piece.part], piece.within)
        found = (found - self.mean) / self.spread
        np.nan_to_num(found, copy=False)
        return found

    def at(self, examples: PartedExamples, rows: Rows) -> Vectors:
        """(n, D) of any rows."""
        found = np.empty((len(rows), len(self.mean)), dtype=np.float32)
        for places, piece in examples.by_part(rows):
            found[places] = self.vectors(examples, piece)
        return found


def fitted(examples: PartedExamples) -> VectorSpace:
    """The space of these examples. Raises NoVectorsError with the reason where they have none."""
    space = _space(examples.parts["train"])
    found: ColumnStatistics | None = None
    for piece in examples.pieces(["train"]):
        raw = np.nan_to_num(space.raw(examples.parts["train"], piece.within), copy=False)
        one = column_statistics(raw)
        found = one if found is None else found.merged(one)
    assert found is not None  # no part is empty
    spread = np.ones(len(found.mean)) if space.unit else _scale(found, own=space.names is not None)
    varying = int((found.spread > CONSTANT).sum())
    return replace(space, mean=found.mean.astype(np.float32), spread=spread.astype(np.float32), varying=varying)


def _scale(found: ColumnStatistics, *, own: bool) -> NDArray[np.float64]:
    """(D,) what columns are divided by: one scale for all where they are of one unit, as pixels are, else each its own.

    `own`: they are columns of a table. Columns of one unit mostly reach over half of the range of all.
    """
    ranges = found.high - found.low
    alike = np.median(ranges) >= 0.5 * (found.high.max() - found.low.min())
    if own or not alike:
        return np.where(found.spread > CONSTANT, found.spread, 1.0)
    varying = found.spread > CONSTANT
    common = np.sqrt(np.square(found.spread[varying]).mean()) if varying.any() else 1.0
    return np.full(len(ranges), common)


def _space(train: Examples) -> VectorSpace:
    stored = arrow(train.inputs)
    nothing = np.zeros(0, dtype=np.float32)
    if train.kind == "tokens":
        raise NoVectorsError("inputs are token ids, whose size means nothing")
    if stored is None:
        raw, form = _of_arrays(train.inputs)
        return VectorSpace(raw, form, None, False, nothing, nothing, 0)
    if stored.form == "table":
        if not stored.numeric:
            raise NoVectorsError("the table has no columns of numbers")
        return VectorSpace(_table, "columns of numbers", stored.numeric, False, nothing, nothing, 0)
    if stored.form == "texts":
        return VectorSpace(_texts, "words", None, True, nothing, nothing, 0)
    if stored.form == "files":
        try:
            importlib.import_module("assay.data_trust.small_pictures").of_file(stored[0].content)
        except (UsageError, OSError, ValueError) as error:
            raise NoVectorsError(f"files are no pictures that can be opened here ({error})") from error
        return VectorSpace(_files, "small pictures", None, False, nothing, nothing, 0)
    raise NoVectorsError("inputs are arrays of unequal shapes")


def _of_arrays(inputs: NDArray[Any]) -> tuple[Callable[[Examples, Rows], Vectors], str]:
    width = int(np.prod(inputs.shape[1:], dtype=np.int64))
    if inputs.dtype.kind == "c":
        raise NoVectorsError("inputs are complex numbers")
    if width <= MOST:
        return _plain, "numbers"
    if example_display.is_picture(inputs[0]):
        return _pictures, "small pictures"
    return _sketched, "sums of numbers"


def _plain(part: Examples, rows: Rows) -> Vectors:
    return np.asarray(part.inputs[rows], dtype=np.float32).reshape(len(rows), -1)


def _pictures(part: Examples, rows: Rows) -> Vectors:
    """Means over equal squares, channels last or first."""
    images = np.asarray(part.inputs[rows], dtype=np.float32)
    return np.stack([smaller(image) for image in images])


def _sketched(part: Examples, rows: Rows) -> Vectors:
    flat = np.asarray(part.inputs[rows], dtype=np.float32).reshape(len(rows), -1)
    rng = np.random.default_rng(flat.shape[1])
    order, signs = rng.permutation(flat.shape[1]), rng.choice(np.array([-1, 1], np.float32), flat.shape[1])
    edges = np.linspace(0, flat.shape[1], SUMS + 1).astype(int)[:-1]
    found: Vectors = np.add.reduceat(flat[:, order] * signs, edges, axis=1, dtype=np.float32)
    return found


def _table(part: Examples, rows: Rows) -> Vectors:
    stored: Any = arrow(part.inputs)
    begin, count = int(rows[0]), len(rows)
    run = int(rows[-1]) - begin == count - 1  # a piece in order is a slice, which copies nothing
    table = stored.table.slice(begin, count) if run else stored.table.take(rows)
    columns = [table.column(name).cast("float64", safe=False).to_numpy() for name in stored.numeric]
    found: Vectors = np.stack(columns, axis=1).astype(np.float32)
    return found


def _texts(part: Examples, rows: Rows) -> Vectors:
    stored: Any = arrow(part.inputs)
    found = np.zeros((len(rows), SUMS), dtype=np.float32)
    for place, text in enumerate(stored.table.column("text").take(rows).to_pylist()):
        words = _WORDS.findall(text.lower()) or [text]
        for weight, some in ((1.0, iter(words)), (0.5, map(" ".join, itertools.pairwise(words)))):
            for word in some:
                number = zlib.crc32(word.encode("utf-8", "surrogateescape"))
                found[place, number % SUMS] += weight if number & 0x8000_0000 else -weight
    length = np.sqrt(np.square(found).sum(axis=1, keepdims=True))
    found /= np.maximum(length, np.float32(1e-9))
    return found


def _files(part: Examples, rows: Rows) -> Vectors:
    of_file = importlib.import_module("assay.data_trust.small_pictures").of_file
    stored: Any = arrow(part.inputs)
    blank = np.zeros(SIDE * SIDE * 3, dtype=np.float32)
    found = []
    for content in stored.table.column("content").take(rows).to_pylist():
        try:
            found.append(of_file(content))
        except (OSError, ValueError):
            found.append(blank)  # prepare() of the task says what it makes of it
    return np.stack(found)
