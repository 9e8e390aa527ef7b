"""Raw examples as an exported model takes them: arrays, rows of a table, texts, files, arrays of unequal shapes.

Like predict.py this file is both a module of the library and, copied as it is, part of every exported folder. It needs
NumPy alone; tables need pyarrow and pandas. Covers: checking what is given against what the model trained on, and
reading it from a file. Not covered: what a model makes of it (`predict`).
"""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: forms of inputs; what is stored as one array has none
TABLE, TEXTS, FILES, RAGGED = "table", "texts", "files", "ragged"
#: form → what predict.py reads it from
SOURCES = {
    "": "an .npy file of one array, as numpy.save writes it",
    TABLE: "a .csv or .parquet file with the columns that prepare() gives as inputs",
    TEXTS: "a .txt file with a text a line, or a .json file with a list of texts",
    FILES: "a file, or a folder whose files are taken in the order of their names",
    RAGGED: "an .npz file with an array an example, as numpy.savez writes it",
}
#: form → an example of such a file or folder
EXAMPLES = {"": "inputs.npy", TABLE: "rows.csv", TEXTS: "texts.txt", FILES: "FOLDER", RAGGED: "inputs.npz"}
#: how an .npy and an .npz file begin
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK\x03\x04"
#: what NumPy raises for files that are none of its own
_DAMAGE = (ValueError, EOFError, OverflowError, SyntaxError, TokenError, TypeError, RecursionError, OSError)
_ZONED = re.compile(r"timestamp\[(\w+), tz=(.+)\]")


class RawFile(NamedTuple):
    """What decode() gets of a file."""

    path: str
    content: bytes

    def open(self) -> io.BytesIO:
        """The content as a file that can be read."""
        return io.BytesIO(self.content)


def checked(inputs: Any, info: dict[str, Any]) -> Any:
    """`inputs` as the model of model.json `info` takes them.

    An array (N, …), an Arrow table, or a list of texts, RawFiles or arrays. Raises ValueError for others.
    """
    form = info.get("form", "")
    if not form:
        return _array(inputs, tuple(info["input_shape"]), np.dtype(info["input_dtype"]))
    if form == TABLE:
        return _table(inputs, info["columns"])
    if isinstance(inputs, str | bytes | Path) or not hasattr(inputs, "__iter__"):
        raise ValueError(f"inputs are {type(inputs).__name__}; allowed: a list of {form}, an example each")
    one = {TEXTS: _text, FILES: _file, RAGGED: _numbers}[form]
    return [one(value, row) for row, value in enumerate(inputs)]


def rows(given: Any) -> Iterator[Any]:
    """Each of `checked` examples as decode() gets it; of a table a dict of values by column."""
    if hasattr(given, "to_batches"):
        return (row for batch in given.to_batches() for row in batch.to_pylist())
    return iter(given)


def _array(inputs: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    given = np.asarray(inputs)
    if given.shape[1:] != shape or given.ndim == 0:
        raise ValueError(f"inputs have shape {given.shape}; allowed: (N, {', '.join(map(str, shape))})")
    if given.dtype.kind not in "biuf" or not np.can_cast(given.dtype, kind, "same_kind"):
        raise ValueError(f"inputs have type {given.dtype}; allowed: {kind}, as prepare() of the task makes them")
    return np.ascontiguousarray(given.astype(kind, copy=False))


def _text(value: Any, row: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"example {row} is {type(value).__name__}; allowed: str")
    return value


def _file(value: Any, row: int) -> Any:
    if hasattr(value, "content") and hasattr(value, "path"):
        return value
    if isinstance(value, bytes):
        return RawFile(f"example {row}", value)
    if not isinstance(value, str | Path):
        raise ValueError(f"example {row} is {type(value).__name__}; allowed: the path of a file, or its bytes")
    try:
        return RawFile(str(value), Path(value).read_bytes())
    except OSError as error:
        raise ValueError(f"{value} cannot be read ({error.strerror})") from error


def _numbers(value: Any, row: int) -> NDArray[Any]:
    found = np.asarray(value)
    if found.dtype.kind not in "buif":
        raise ValueError(f"example {row} has type {found.dtype}; allowed: an array of numbers")
    return found


def _arrow(name: str = "pyarrow") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"tables need pyarrow and pandas ({error}); next: pip install pyarrow pandas") from error


def _table(inputs: Any, columns: dict[str, str]) -> Any:
    """An Arrow table with these columns, in their order and types; others are left out."""
    arrow = _arrow()
    if hasattr(inputs, "iloc"):
        inputs = {str(name): inputs[name] for name in inputs.columns}
    elif hasattr(inputs, "column_names"):
        inputs = {name: inputs.column(name) for name in inputs.column_names}
    elif isinstance(inputs, list) and all(isinstance(row, dict) for row in inputs):
        inputs = {
            name: [row.get(name) for row in inputs] for name in dict.fromkeys(key for row in inputs for key in row)
        }
    if not isinstance(inputs, dict):
        allowed = "a DataFrame, an Arrow table, a dict of columns, a list of dicts"
        raise ValueError(f"inputs are {type(inputs).__name__}; allowed: {allowed}")
    missing = [name for name in columns if name not in inputs]
    if missing:
        raise ValueError(f"inputs have no column {missing[0]!r}; allowed: {', '.join(map(repr, columns))}")
    return arrow.table({name: _column(inputs[name], name, kind, arrow) for name, kind in columns.items()})


def _column(given: Any, name: str, kind: str, arrow: Any) -> Any:
    try:
        found = given if hasattr(given, "cast") else arrow.array(given, from_pandas=True)
        return found.cast(_type(kind, arrow))
    except (arrow.ArrowException, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"column {name!r} is no {kind} ({said}); allowed: {kind}, as the model trained on") from error


def _type(kind: str, arrow: Any) -> Any:
    zoned = _ZONED.fullmatch(kind)
    return arrow.timestamp(zoned[1], zoned[2]) if zoned else arrow.type_for_alias(kind)


def read(path: Path, info: dict[str, Any]) -> Any:
    """Raw examples in `path`, as SOURCES has it for the model's form. Raises ValueError for what cannot be read."""
    form = info.get("form", "")
    reader = {"": _read_array, TABLE: _read_table, TEXTS: _read_texts, FILES: _read_files, RAGGED: _read_archive}[form]
    try:
        return reader(path, info)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or error})") from error


def _begins(path: Path, magic: bytes, form: str) -> None:
    with path.open("rb") as stream:
        if stream.read(len(magic)) != magic:
            raise ValueError(f"{path} holds no array; allowed: {SOURCES[form]}")


def _read_array(path: Path, _: dict[str, Any]) -> NDArray[Any]:
    _begins(path, _ARRAY, "")
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory for a shape that no file holds
    except _DAMAGE as error:
        raise ValueError(f"{path} holds no array: {error!s:.200}") from error
    if found.ndim == 0:
        raise ValueError(f"{path} holds no array of examples but one number")
    return np.array(found)


def _read_archive(path: Path, _: dict[str, Any]) -> list[NDArray[Any]]:
    _begins(path, _ARCHIVE, RAGGED)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]
    except Exception as error:  # zipfile raises what it likes
        raise ValueError(f"{path} holds no arrays: {error!s:.200}") from error


def _read_table(path: Path, info: dict[str, Any]) -> Any:
    arrow = _arrow()
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return _arrow("pyarrow.parquet").read_table(path)
        csv = _arrow("pyarrow.csv")
        types = {name: _type(kind, arrow) for name, kind in info["columns"].items()}
        convert = csv.ConvertOptions(strings_can_be_null=True, column_types=types)
        return csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=convert)
    except arrow.ArrowException as error:
        raise ValueError(f"{path} holds no such table: {' '.join(str(error).split())[:200]}") from error


def _read_texts(path: Path, _: dict[str, Any]) -> Sequence[str]:
    try:
        content = path.read_bytes().decode("utf-8-sig")
        found = json.loads(content) if path.suffix.lower() == ".json" else content.splitlines()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no texts ({error!s:.200}); allowed: {SOURCES[TEXTS]}") from error
    if not isinstance(found, list):
        raise ValueError(f"{path} holds no list of texts; allowed: {SOURCES[TEXTS]}")
    return found


def _read_files(path: Path, _: dict[str, Any]) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [one for one in path.rglob("*") if one.is_file()]
    named = [one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)]
    if not named:
        raise ValueError(f"{path} holds no files; allowed: {SOURCES[FILES]}")
    return sorted(named, key=lambda one: one.relative_to(path).as_posix())
