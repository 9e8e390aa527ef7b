"""Numbers of a table's rows as an editor shows them: the line of the file on which a row begins.

A table in memory lacks the header, blank lines, the further lines of a value that has line breaks, and rows that were
left out while it was read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RowNumbers:
    """Of a CSV file. `ragged`: which of its records were left out, in order; the header is record 1."""

    path: Path
    delimiter: str
    ragged: Sequence[int] = ()

    def of(self, place: int) -> int:
        """The line of the row at `place`, counted from 0, of the table in memory."""
        number = place + 2
        for left_out in self.ragged:
            number += left_out <= number
        return self.of_record(number)

    def of_record(self, number: int) -> int:
        """The line on which a record begins; its own number in a file that the standard library cannot read."""
        try:
            return next(line for count, line in enumerate(_lines(self.path, self.delimiter), 1) if count == number)
        except (csv.Error, OSError, StopIteration):
            return number


class ParquetRowNumbers(RowNumbers):
    """Of a file without a header or lines: the first row is 1."""

    def of(self, place: int) -> int:
        return place + 1


def _lines(path: Path, delimiter: str) -> Iterator[int]:
    """The line on which each record begins; blank lines are none."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader, before = csv.reader(stream, delimiter=delimiter), 0
        for cells in reader:
            if cells:
                yield before + 1
            before = reader.line_num
