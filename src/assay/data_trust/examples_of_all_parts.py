"""The examples of all parts in one order, train before validation before test, and a few rows at a time.

Covers: reading parts with their inputs mapped, places and ids of rows, keys of inputs. Not covered: numbers of an input
(`data_trust.example_vectors`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.core.paths import PARTS, ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.runtime.example_ids import Keys

Rows = NDArray[np.int64]
#: rows that are looked at together
PIECE = 4_096


class Piece(NamedTuple):
    """Some rows of one part: `rows` (n,) counted over all parts, `within` (n,) counted in the part."""

    part: str
    rows: Rows
    within: Rows


@dataclass(frozen=True)
class PartedExamples:
    """N examples; rows are counted over all parts, in the order of `parts`."""

    parts: Mapping[str, Examples]

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @cached_property
    def starts(self) -> Mapping[str, int]:
        """Part → its first row."""
        ends = np.cumsum([0, *map(len, self.parts.values())]).tolist()
        return dict(zip(self.parts, ends, strict=False))

    @cached_property
    def part_codes(self) -> NDArray[np.int8]:
        """(N,) number of each row's part, in the order of `parts`."""
        sizes = [len(part) for part in self.parts.values()]
        return np.repeat(np.arange(len(sizes), dtype=np.int8), sizes)

    @cached_property
    def keys(self) -> Keys:
        """(N,) a hash of each input."""
        return np.concatenate([storage.input_keys(part) for part in self.parts.values()])

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes; None for values."""
        return next(iter(self.parts.values())).classes

    @property
    def one_class_each(self) -> bool:
        """Whether each example has one class, and no mask or sequence of them."""
        first = next(iter(self.parts.values()))
        return first.classes is not None and first.targets.ndim == 1 and first.several is None

    def pieces(self, names: Sequence[str] = PARTS) -> Iterator[Piece]:
        """All rows of these parts in order, some at a time."""
        for name in names:
            for begin in range(0, len(self.parts[name]), PIECE):
                within = np.arange(begin, min(begin + PIECE, len(self.parts[name])), dtype=np.int64)
                yield Piece(name, self.starts[name] + within, within)

    def by_part(self, rows: Rows) -> Iterator[tuple[NDArray[np.int64], Piece]]:
        """Any rows, part by part: their places in `rows`, and the piece."""
        codes = self.part_codes[rows]
        for code, name in enumerate(self.parts):
            places = np.flatnonzero(codes == code)
            if len(places):
                chosen = rows[places]
                yield places, Piece(name, chosen, chosen - self.starts[name])

    def targets(self, piece: Piece) -> NDArray[np.int64]:
        """(n,) class numbers of a piece."""
        return self.parts[piece.part].targets[piece.within].astype(np.int64)

    def place(self, row: int) -> tuple[str, str]:
        """Part and id of a row."""
        name = list(self.parts)[int(self.part_codes[row])]
        return name, str(self.parts[name].ids[row - self.starts[name]])


def read(layout: ProjectPaths) -> PartedExamples:
    """All parts of the project. Raises UsageError naming the first file that is missing or was changed."""
    names = ("ids", "inputs", "targets", "groups")
    return PartedExamples({name: storage.read(layout.part(name), names)[0] for name in PARTS})
