"""From what a task has to rows in an Arrow file: tables, texts, references to files, arrays of unequal shapes.

Covers: one pass over the source, one batch in memory, and the sentence for the first row that cannot be taken. Nothing
is dropped. Not covered: what arrays are (`data.validate_examples`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assay.core.errors import UsageError
from assay.core.pyarrow_package import compute, pyarrow
from assay.data import arrow_hash, arrow_rows
from assay.data.arrow_rows import ArrowRows
from assay.runtime import npy_files


def table(found: Any, but: Sequence[str], file: Path, where: str) -> ArrowRows:
    """A pandas DataFrame or an Arrow table without the columns `but`, written into `file`."""
    columns = {str(name): column(found, name, where) for name in _names(found, where) if name not in but}
    if not columns:
        raise UsageError(f"{where}: the table has no columns but the targets", allowed="at least one column of inputs")
    made = pyarrow.table(columns)
    arrow_rows.write(file, "table", made.schema, [made.slice(span.start, len(span)) for span in arrow_rows.spans(made)])
    return arrow_rows.read(file)


def texts(values: Iterable[str], file: Path) -> ArrowRows:
    """Texts, written into `file`."""
    arrow_rows.gathered(file, "texts", ({"text": value} for value in values), lambda row: 4 * len(row["text"]))
    return arrow_rows.read(file)


def references(paths: Sequence[Path], file: Path, where: str) -> ArrowRows:
    """The content of files, written into `file`; relative paths begin at the folder of dvc.yaml."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UsageError(
            f"{where}: {missing[0]} is no file ({len(missing)} such of {len(paths)})",
            allowed="paths of files, relative to the folder of dvc.yaml",
        )
    rows = ({"path": path.as_posix(), "content": _content(path, where)} for path in paths)
    return encoded(rows, file)


def encoded(rows: Iterable[dict[str, Any]], file: Path) -> ArrowRows:
    """Rows of `path` and `content`, written into `file`."""
    arrow_rows.gathered(file, "files", rows, lambda row: len(row["content"]))
    return arrow_rows.read(file)


def ragged(arrays: Iterable[Any], file: Path, where: str) -> ArrowRows:
    """Arrays of numbers, each of its own shape, written into `file`."""
    arrow_rows.gathered(file, "ragged", _flattened(arrays, where), lambda row: len(row["values"]))
    return arrow_rows.read(file)


def _flattened(arrays: Iterable[Any], where: str) -> Iterator[dict[str, Any]]:
    for row, value in enumerate(arrays):
        array = np.asarray(value)
        if array.dtype.kind not in "buif" or np.ma.is_masked(value):
            raise UsageError(f"{where}: the input of example {row} is {array.dtype}", allowed="an array of numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{where}: the input of example {row} is not finite", allowed="finite numbers")
        plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).reshape(array.shape)
        sizes = ",".join(map(str, plain.shape))
        yield {"values": plain.tobytes(), "shape": sizes, "dtype": plain.dtype.str}


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{where}: {path} cannot be read ({error.strerror})") from error


def _names(found: Any, where: str) -> list[Any]:
    names = list(found.columns) if hasattr(found, "iloc") else list(found.column_names)
    if len({str(name) for name in names}) < len(names):
        twice = next(name for name in names if [str(one) for one in names].count(str(name)) > 1)
        raise UsageError(f"{where}: two columns of the table are called {str(twice)!r}", allowed="different names")
    return names


def column(found: Any, name: Any, where: str) -> Any:
    """One column of a DataFrame or an Arrow table as an Arrow array: numbers, text, true or false, times."""
    types = pyarrow.types
    try:
        if hasattr(found, "iloc"):
            made = pyarrow.Table.from_pandas(found[[name]], preserve_index=False).column(0)
        else:
            made = found.column(name)
        if types.is_dictionary(made.type):
            made = made.cast(made.type.value_type)
        if types.is_string(made.type) or types.is_string_view(made.type) or types.is_null(made.type):
            made = made.cast(pyarrow.large_string())
        elif types.is_date(made.type):
            made = made.cast(pyarrow.timestamp("us"))
        elif types.is_decimal(made.type) or types.is_float16(made.type):
            made = made.cast(pyarrow.float64())
        made = pyarrow.concat_arrays(made.chunks) if made.num_chunks else pyarrow.array([], made.type)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        said = f"{where}: column {str(name)!r} is of no single type ({' '.join(str(error).split()):.200})"
        raise UsageError(said, allowed=_ALLOWED) from error
    simple = (types.is_timestamp, types.is_boolean, types.is_large_string, arrow_hash.is_number)
    if not any(known(made.type) for known in simple):
        raise UsageError(f"{where}: column {str(name)!r} holds {made.type}", allowed=_ALLOWED)
    return _finite(made, str(name), where) if types.is_floating(made.type) else made


_ALLOWED = "numbers, text, true or false, times; missing ones are fine"


def _finite(made: Any, name: str, where: str) -> Any:
    """NaN is a missing value; Inf is refused."""
    made = compute.if_else(compute.is_nan(made), pyarrow.scalar(None, made.type), made)
    infinite = np.flatnonzero(compute.is_inf(made).fill_null(False).to_numpy(zero_copy_only=False))
    if len(infinite):
        raise UsageError(
            f"{where}: column {name!r} of row {infinite[0]} is {made[int(infinite[0])].as_py()} "
            f"({len(infinite)} such of {len(made)})",
            allowed="finite numbers, or missing ones",
        )
    return made


def contents(items: Iterable[bytes | Path], where: str) -> Iterator[dict[str, Any]]:
    """Items of a Dataset, encoded as they are or paths of files, as rows of `path` and `content`."""
    for row, item in enumerate(items):
        if isinstance(item, Path):
            yield {"path": item.as_posix(), "content": _content(item, where)}
        else:
            yield {"path": str(row), "content": item}


def equal(rows: ArrowRows) -> ArrowRows | np.ndarray[Any, Any]:
    """Arrays of one shape and type as one array, mapped; others as they are. The Arrow file goes."""
    shapes, types = (rows.table.column(name).unique().to_pylist() for name in ("shape", "dtype"))
    if len(shapes) != 1 or len(types) != 1 or rows.path is None:
        return rows
    sizes = tuple(int(size) for size in shapes[0].split(",") if size)
    file = rows.path.with_suffix(".npy")
    made = np.lib.format.open_memmap(file, "w+", np.dtype(types[0]), (len(rows), *sizes))
    for row, value in enumerate(rows):
        made[row] = value
    made.flush()
    rows.path.unlink()
    return npy_files.read(file, mapped=True)
