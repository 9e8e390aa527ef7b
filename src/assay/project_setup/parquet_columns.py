"""The first rows of a Parquet file, as text, for whoever guesses what its columns are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from assay.core import pyarrow_package as arrow


class ParquetColumns(NamedTuple):
    """Column → its first values, "" for a missing one; columns of lists, structs and bytes, of which nothing is
    guessed; whether there are more rows."""

    values: dict[str, list[str]]
    others: list[str]
    more: bool


def read(path: Path, most: int) -> ParquetColumns | None:
    """The first `most` rows of a file; None for one that is no Parquet file."""
    try:
        with arrow.parquet.ParquetFile(path) as file:
            names = [field.name for field in file.schema_arrow if _is_plain(field.type)]
            others = [field.name for field in file.schema_arrow if not _is_plain(field.type)]
            first: Any = next(file.iter_batches(batch_size=most, columns=names), None)
            more = file.metadata.num_rows > most
            columns = {} if first is None else {name: first.column(name).to_pylist() for name in names}
    except (arrow.pyarrow.ArrowException, OSError):
        return None
    values = {name: ["" if value is None else str(value) for value in column] for name, column in columns.items()}
    return ParquetColumns(values, others, more)


def _is_plain(kind: Any) -> bool:
    types = arrow.pyarrow.types
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind))
