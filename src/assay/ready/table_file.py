"""A table in a CSV or Parquet file, as `assay.ready.table` takes it: columns, and rows that cannot be used, counted.

Covers: ragged rows, text that is not UTF-8, a label that is missing, an id or continuous, ids that repeat, classes of a
single row. Each is named, the row first; above a stated share it is refused. Not covered: what a model sees of it, how
rows are numbered (`ready.table_rows`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core import pyarrow_package as arrow
from assay.core.errors import UsageError
from assay.ready.table_rows import ParquetRowNumbers, RowNumbers

#: a whole-number label with more values than these is one to regress, where params.yaml does not say
MOST_CLASSES = 50


@dataclass
class Unusable:
    """Rows that are left out, by reason, and how many of the table they may be."""

    file: str
    rows: int
    share: float
    reasons: list[tuple[str, int, str]] = field(default_factory=list)  # why, how many, the first
    what: str = "rows"
    numbers: RowNumbers = field(default_factory=lambda: RowNumbers(Path(), ","))

    def add_rows(self, why: str, those: NDArray[np.bool_]) -> None:
        """Note the rows (N,) of the table in memory, the first by its number. Raises UsageError as `add` does."""
        if those.any():
            self.add(why, int(those.sum()), self.first(those))

    def first(self, those: NDArray[np.bool_]) -> str:
        """The first of some rows (N,) by its number in the file."""
        return f"row {self.numbers.of(int(np.flatnonzero(those)[0]))}"

    def add(self, why: str, count: int, first: str) -> None:
        """Note `count` rows. Raises UsageError where they are too many together."""
        if not count:
            return
        self.reasons.append((why, count, first))
        if sum(number for _, number, _ in self.reasons) > self.share * self.rows:
            raise UsageError(
                f"{self.file}, {first}: {why} ({count} such of {self.rows} {self.what})",
                allowed=f"a share of at most {self.share:g} that cannot be used (data.unusable)",
                hint="fix the file, or raise data.unusable in params.yaml",
            )

    def sentences(self) -> Iterator[str]:
        for why, count, first in self.reasons:
            yield f"{count} of {self.rows} {self.what} of {self.file} are left out: {why}, the first {first}"


def read(path: Path, share: float, delimiter: str = ",") -> tuple[Any, Unusable]:
    """The table in `path`, and the rows of it that were ragged. Raises UsageError naming what is wrong."""
    if len(delimiter) != 1:
        raise UsageError(f"data.delimiter is {delimiter!r}", allowed="one character, such as , ; or a tab")
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}", hint="set data.file in params.yaml")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            table = arrow.parquet.read_table(path)
        except (arrow.pyarrow.ArrowException, OSError) as error:
            raise UsageError(f"{path} cannot be read: {error}", hint="write it again as Parquet") from error
        return _filled(path, table, Unusable(str(path), table.num_rows, share, numbers=ParquetRowNumbers(path, "")))
    return _filled(path, *_csv(path, share, delimiter))


def _filled(path: Path, table: Any, unusable: Unusable) -> tuple[Any, Unusable]:
    """What was read. Raises UsageError for a table without a row."""
    if not table.num_rows:
        raise UsageError(f"{path} has no rows that can be used", allowed="a row an example", hint="set data.file")
    return table, unusable


def _csv(path: Path, share: float, delimiter: str) -> tuple[Any, Unusable]:
    ragged: list[tuple[int, int, int]] = []

    def skip(row: Any) -> str:
        ragged.append((row.number or 0, row.actual_columns, row.expected_columns))
        return "skip"

    try:
        table = arrow.csv.read_csv(
            path,
            read_options=arrow.csv.ReadOptions(use_threads=False),  # else nobody knows the numbers of rows
            parse_options=arrow.csv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=skip, newlines_in_values=True
            ),
            convert_options=arrow.csv.ConvertOptions(strings_can_be_null=True, auto_dict_encode=False),
        )
        names = table.column_names
    except UnicodeDecodeError as error:
        raise UsageError(f"{_place(path)}: names of columns are not UTF-8", hint="write the file as UTF-8") from error
    except (arrow.pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{_place(path)}: {' '.join(str(error).split())[:200]}", hint="fix the file") from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{path} has two columns {twice!r}", allowed="a name for each column")
    arrow.pyarrow.default_memory_pool().release_unused()  # what parsing took, half a GB for a million rows
    undecoded = [name for name in names if arrow.pyarrow.types.is_binary(table[name].type)]
    if undecoded:
        raise UsageError(f"{_place(path)}: column {undecoded[0]!r} is not UTF-8", hint="write the file as UTF-8")
    numbers = RowNumbers(path, delimiter, [number for number, _, _ in ragged])
    found = Unusable(str(path), table.num_rows + len(ragged), share, numbers=numbers)
    if ragged:
        number, actual, expected = ragged[0]
        why = f"{actual} fields where the header has {expected}"
        found.add(why, len(ragged), f"row {numbers.of_record(number)}")
    return table, found


def _place(path: Path) -> str:
    """The file, and the first row of it that is not UTF-8, if any."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"{path}, row {number}"
    return str(path)


def labels(
    table: Any, target: str, kind: str, unusable: Unusable
) -> tuple[NDArray[Any], list[str] | None, NDArray[np.bool_]]:
    """Targets (N,), names of the classes (None: values to regress), and which rows (N,) have a label that counts."""
    column = named(table, target, "data.target", unusable.file)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    if not there.any():
        raise UsageError(f"{unusable.file}: column {target!r}, the label, is empty in all {len(there)} rows")
    unusable.add_rows(f"column {target!r}, the label, is empty", ~there)
    numeric = arrow.pyarrow.types.is_integer(column.type) or arrow.pyarrow.types.is_floating(column.type)
    if numeric and kind != "classification":
        values = column.to_numpy(zero_copy_only=False)
        if kind == "regression" or _is_continuous(values[there]):
            found = np.where(there, values, 0).astype(np.float64)
            endless = there & ~np.isfinite(found)
            unusable.add_rows(f"column {target!r}, the label, is not finite", endless)
            return found, None, there & ~endless
    if kind == "regression":
        raise _no_number(column, there, target, unusable)
    return _classes(column, there, target, unusable)


def _no_number(column: Any, there: NDArray[np.bool_], target: str, unusable: Unusable) -> UsageError:
    """The first label that is no number, in a sentence."""
    values = column.to_pylist()
    those = np.array([known and not _is_number(value) for known, value in zip(there, values, strict=True)])
    place = int(np.flatnonzero(those)[0]) if those.any() else 0
    return UsageError(
        f"{unusable.file}, {unusable.first(those) if those.any() else 'row 1'}: column {target!r}, the label, is "
        f"{str(values[place])[:80]!r} ({int(those.sum())} such of {len(those)} rows)",
        allowed="numbers, for regression",
        hint="correct the file, or set data.kind: classification",
    )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _classes(
    column: Any, there: NDArray[np.bool_], target: str, unusable: Unusable
) -> tuple[NDArray[Any], list[str], NDArray[np.bool_]]:
    encoded = column.dictionary_encode()
    spelled = np.array([str(value) for value in encoded.dictionary.to_pylist()])
    names, place_of = np.unique(spelled, return_inverse=True)
    numbers = place_of[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)][there]
    counts = np.bincount(numbers, minlength=len(names))
    if len(names) > max(MOST_CLASSES, len(there) // 10) or 2 * (counts == 1).sum() > there.sum() > 2:
        what = "an id" if len(names) > 0.9 * there.sum() else "continuous, or an id"
        raise UsageError(
            f"{unusable.file}: column {target!r}, the label, has {len(names)} different values "
            f"in {int(there.sum())} rows",
            allowed="classes that repeat",
            hint=f"it looks like {what}: name another column as data.target, or set data.kind: regression",
        )
    if len(names) == 1:
        raise UsageError(
            f"{unusable.file}: column {target!r}, the label, is {str(names[0])!r} in all {int(there.sum())} rows",
            allowed="two classes or more",
            hint="set data.target in params.yaml",
        )
    targets = np.zeros(len(there), dtype=np.int64)
    targets[there] = numbers
    single = there & np.isin(targets, np.flatnonzero(counts == 1))
    if single.any():
        first = int(np.flatnonzero(single)[0])
        unusable.add_rows(f"class {str(names[targets[first]])!r} has one row alone", single)
    kept = np.flatnonzero(counts > 1)
    place = np.full(len(names), -1)
    place[kept] = np.arange(len(kept))
    return np.maximum(place[targets], 0), [str(name) for name in names[kept]], there & ~single


def unique_ids(table: Any, name: str, unusable: Unusable) -> NDArray[np.bool_]:
    """Which rows (N,) have an id, and are the first of it."""
    there = known(table, name, "id", unusable)
    values = np.asarray(named(table, name, "data.id", unusable.file).to_numpy(zero_copy_only=False), dtype=str)
    rows = np.flatnonzero(there)
    _, first = np.unique(values[rows], return_index=True)
    kept = np.zeros(len(values), dtype=bool)
    kept[rows[first]] = True
    again = there & ~kept
    if again.any():
        row = int(np.flatnonzero(again)[0])
        unusable.add_rows(f"id {str(values[row])!r} stands in an earlier row, too", again)
    return kept


def known(table: Any, name: str, what: str, unusable: Unusable) -> NDArray[np.bool_]:
    """Which rows (N,) have a value in a column; those that have none are left out."""
    column = named(table, name, f"data.{what}", unusable.file)
    there: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    unusable.add_rows(f"column {name!r}, the {what}, is empty", ~there)
    return there


def named(table: Any, name: str, key: str, file: str) -> Any:
    if name not in table.column_names:
        raise UsageError(
            f"{file} has no column {name!r} ({key})",
            allowed=", ".join(table.column_names),
            hint=_other_delimiter(table) or f"set {key} in params.yaml",
        )
    return table[name].combine_chunks() if table[name].num_chunks != 1 else table[name].chunk(0)


def _other_delimiter(table: Any) -> str:
    """What to set where a single column has a name that reads like several."""
    alone = table.column_names[0] if table.num_columns == 1 else ""
    return next((f"set data.delimiter: {json.dumps(one)} in params.yaml" for one in ";\t|" if one in alone), "")


def _is_continuous(values: NDArray[Any]) -> bool:
    numbers = values.astype(np.float64)
    return bool((numbers != np.floor(numbers)).any()) or len(np.unique(numbers)) > MOST_CLASSES
