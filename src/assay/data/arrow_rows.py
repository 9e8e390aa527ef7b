"""Inputs that are no array: rows of a table, texts, encoded files, arrays of unequal shapes, in one Arrow file a part.

Covers: writing and mapping the file, hashes of rows and of all, what a row is to the task. Files are uncompressed, so
that what is mapped takes memory of the page cache alone. Not covered: how rows come about (`data.arrow_sources`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.pyarrow_package import pyarrow
from assay.data import arrow_hash
from assay.data.arrow_hash import ColumnHash
from assay.data.column_statistics import ColumnStatistics
from assay.data.encoded_file import EncodedFile
from assay.runtime import files
from assay.runtime.example_ids import KEY, Keys

#: table: a column each; texts: `text`; files: `path` and `content`; ragged: `values` (bytes), `shape`, `dtype`
Form: TypeAlias = Literal["table", "texts", "files", "ragged"]
_FORM = b"assay.form"
#: rows, and about as many bytes, of a batch in the file
ROWS, BYTES = 65_536, 8 * 2**20

Rows: TypeAlias = NDArray[np.integer]


@dataclass(frozen=True)
class ArrowRows:
    """N inputs. `inputs[row]` is one as the task gets it: see `row`."""

    form: Form
    table: Any  # pyarrow.Table of N rows
    path: Path | None = None  # of the file that it is mapped from

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: int) -> Any:
        """One input: dict of a table's row, str, EncodedFile, or an array."""
        values = {name: self.table.column(name)[int(row)] for name in self.table.column_names}
        if self.form == "table":
            return {name: value.as_py() for name, value in values.items()}
        if self.form == "texts":
            return values["text"].as_py()
        if self.form == "files":
            return EncodedFile(values["path"].as_py(), values["content"].as_py())
        return _array(values["values"].as_buffer(), values["shape"].as_py(), values["dtype"].as_py())

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.table.column_names]

    def to_pandas(self) -> Any:
        """A pandas DataFrame of all rows; missing values are NaN or None."""
        return self.table.to_pandas()

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> ArrowRows:
        """The inputs at `rows` (indices or mask), in that order."""
        chosen = np.arange(len(self))[rows]
        return ArrowRows(self.form, self.table.take(pyarrow.array(chosen)))

    def joined(self, other: ArrowRows) -> ArrowRows:
        """These inputs, then the others. Raises UsageError for other columns."""
        try:
            return ArrowRows(self.form, pyarrow.concat_tables([self.table, other.table]))
        except pyarrow.ArrowException as error:
            raise UsageError(
                f"inputs of two parts have different columns ({error})", hint="dvc repro -f split"
            ) from error

    def keys(self) -> Keys:
        """(N,) a hash of each input, from its content alone; the path of a file is none of it."""
        hashed = arrow_hash.table_keys if self.form == "table" else _content_keys
        found = np.concatenate([np.empty(0, f"S{KEY}"), *map(hashed, _batches(self.table))])
        _give_back()
        return found

    def digest(self) -> str:
        """Hash of form, columns and all values but paths; how they lie in the file does not matter."""
        counted = [name for name in self.columns if self.form == "table" or name != "path"]
        hashers = {name: ColumnHash() for name in counted}
        for batch in _batches(self.table):
            for name, hasher in hashers.items():
                hasher.update(batch.column(name))
        _give_back()
        joined = self.form + "".join(f"{name}={hasher.hexdigest()};" for name, hasher in hashers.items())
        return files.digest(joined.encode())

    def write(self, path: Path, rows: Rows | None = None) -> None:
        """Write the inputs at `rows`, all where None, batch by batch."""
        tables = (self.table.slice(batch.start, len(batch)) for batch in spans(self.table))
        if rows is not None:
            mask = np.zeros(len(self), dtype=bool)
            mask[rows] = True
            tables = (
                self.table.slice(batch.start, len(batch)).filter(pyarrow.array(mask[batch.start : batch.stop]))
                for batch in spans(self.table)
            )
        write(path, self.form, self.table.schema, tables)

    def statistics(self, rows: Rows | None = None) -> ColumnStatistics:
        """Of the columns that hold numbers; what is missing does not count."""
        chosen = None if rows is None else pyarrow.array(rows)
        columns = [column for name in self.numeric if (column := self.table.column(name)) is not None]
        values = [_numbers(column if chosen is None else column.take(chosen)) for column in columns]
        count = len(self) if rows is None else len(rows)
        kept = [one[~np.isnan(one)] if (~np.isnan(one)).any() else np.zeros(1) for one in values]
        found = [(one.mean(), one.var() * count, one.min(), one.max()) for one in kept]
        mean, squares, low, high = np.array(found, dtype=np.float64).reshape(-1, 4).T
        return ColumnStatistics(count, mean, squares, low, high)

    @property
    def numeric(self) -> list[str]:
        """Names of a table's columns of numbers."""
        return [field.name for field in self.table.schema if self.form == "table" and arrow_hash.is_number(field.type)]


def _numbers(column: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def _array(values: Any, shape: str, dtype: str) -> NDArray[Any]:
    sizes = tuple(int(size) for size in shape.split(",") if size)
    return np.frombuffer(values, dtype=np.dtype(dtype)).reshape(sizes).copy()


def _content_keys(batch: Any) -> Keys:
    """Of batches of another kind than a table."""
    names = [name for name in batch.schema.names if name != "path"]
    found = bytearray()
    for values in zip(*(batch.column(name) for name in names), strict=True):
        hasher = hashlib.blake2b(digest_size=KEY)
        for value in values:
            content = value.as_buffer()
            hasher.update(content.size.to_bytes(8, "little"))
            hasher.update(content)
        found += hasher.digest()
    return np.frombuffer(bytes(found), dtype=f"S{KEY}")


def spans(table: Any) -> Iterator[range]:
    """Rows that make a batch each."""
    width = max(1, table.nbytes // max(1, table.num_rows))
    step = max(1, min(ROWS, BYTES // width))
    return (range(start, min(start + step, table.num_rows)) for start in range(0, table.num_rows, step))


def _batches(table: Any) -> Iterator[Any]:
    for span in spans(table):
        yield from table.slice(span.start, len(span)).combine_chunks().to_batches()


def schema(form: Form) -> Any:
    """Columns of texts, files and ragged inputs; a table has its own."""
    text, content = pyarrow.large_string(), pyarrow.large_binary()
    return pyarrow.schema(
        {
            "texts": [("text", text)],
            "files": [("path", text), ("content", content)],
            "ragged": [("values", content), ("shape", text), ("dtype", text)],
        }[form]
    )


def write(path: Path, form: Form, columns: Any, tables: Iterable[Any]) -> None:
    """An Arrow file of `tables`, each written when it comes; `columns` is their schema."""
    described = columns.with_metadata({_FORM: form.encode()})
    with files.replacing(path) as stream, pyarrow.ipc.new_file(stream, described) as writer:
        for table in tables:
            if table.num_rows:
                writer.write_table(table.combine_chunks().cast(described))
    _give_back()


def _give_back() -> None:
    """Return what Arrow keeps for later: after a pass over a million rows, a third of a GB."""
    pyarrow.default_memory_pool().release_unused()


def read(path: Path, hint: str = "") -> ArrowRows:
    """The inputs in the file at `path`, mapped. Raises UsageError naming it where there are none."""
    try:
        table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
        form = (table.schema.metadata or {})[_FORM].decode()
    except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
        raise UsageError(f"{path} cannot be read ({error})", hint=hint) from error
    return ArrowRows(form, table.replace_schema_metadata(None), path)


def gathered(path: Path, form: Form, rows: Iterable[dict[str, Any]], size: Callable[[dict[str, Any]], int]) -> None:
    """An Arrow file of `rows`, each a value for every column, never more than a batch of them in memory."""

    def tables() -> Iterator[Any]:
        waiting: list[dict[str, Any]] = []
        filled = 0
        for row in rows:
            waiting.append(row)
            filled += size(row)
            if len(waiting) == ROWS or filled >= BYTES:
                yield pyarrow.Table.from_pylist(waiting, schema=columns)
                waiting, filled = [], 0
        yield pyarrow.Table.from_pylist(waiting, schema=columns)

    columns = schema(form)
    write(path, form, columns, tables())
