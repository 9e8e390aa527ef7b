"""What `prepare()` may return beside arrays: a table, texts, references to files, a map-style Dataset, unequal arrays.

Each becomes the dict that `data.validate_examples` checks, its inputs an array or rows of an Arrow file. Covers:
columns that are named, labels that are names of classes. Not covered: checks of values.
"""

from __future__ import annotations

import importlib
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assay.core.errors import AssayError, UsageError
from assay.data import content_hash

#: entries that may name a column of the table of inputs
NAMED = ("targets", "groups", "slices", "second_labels", "order")
#: columns of a table that comes without a dict around it
TARGET, GROUP = "target", "group"
INPUTS = "inputs.arrow"


def plain(raw: object, where: str, folder: Path | None) -> object:
    """`raw` with inputs that can be stored; they are written into `folder` where they are no array."""
    if _is_table(raw):
        raw = {"inputs": raw, "targets": TARGET, **({"groups": GROUP} if GROUP in _columns(raw) else {})}
    elif _is_dataset(raw):
        raw = {"inputs": raw}
    if not isinstance(raw, Mapping) or "inputs" not in raw:
        return raw
    found = dict(raw)
    form = _form(found["inputs"])
    if form:
        place = folder or Path(tempfile.mkdtemp(prefix="assay-"))
        place.mkdir(parents=True, exist_ok=True)
        found = _FORMS[form](found, where, place / INPUTS)
    return _labelled(found, where)


def _form(inputs: Any) -> str:
    """How inputs that are no array come; "" for an array."""
    if _is_table(inputs):
        return "table"
    if _is_dataset(inputs):
        return "dataset"
    first = inputs[0] if isinstance(inputs, list | tuple | np.ndarray) and len(inputs) else None
    if isinstance(first, str):
        return "texts"
    if isinstance(first, Path):
        return "files"
    return "ragged" if isinstance(inputs, list | tuple) and len({np.shape(one) for one in inputs}) > 1 else ""


def _table(found: dict[str, Any], where: str, file: Path) -> dict[str, Any]:
    table, sources = found["inputs"], _sources()
    used = {key: found[key] for key in NAMED if isinstance(found.get(key), str)}
    for key, name in used.items():
        if name not in _columns(table):
            raise UsageError(
                f"{where}: the table has no column {name!r} for {key}",
                allowed=", ".join(map(str, _columns(table))),
                hint='name it in prepare(): {"inputs": table, "targets": "NAME OF A COLUMN"}',
            )
        column = sources.column(table, name, where)
        _complete(column, key, name, where)
        found[key] = column.to_numpy(zero_copy_only=False)
    return {**found, "inputs": sources.table(table, list(used.values()), file, where)}


def _complete(column: Any, key: str, name: str, where: str) -> None:
    gaps = np.flatnonzero(~column.is_valid().to_numpy(zero_copy_only=False))
    if len(gaps):
        raise UsageError(
            f"{where}: row {gaps[0]} has no value in {name!r}, the column of {key} ({len(gaps)} such of {len(column)})",
            hint="correct or drop such rows in prepare(), where it can be seen",
        )


def _texts(found: dict[str, Any], where: str, file: Path) -> dict[str, Any]:
    values = found["inputs"]
    bad = next((row for row, value in enumerate(values) if not isinstance(value, str)), None)
    if bad is not None:
        raise UsageError(f"{where}: the input of example {bad} is {values[bad]!r:.80}", allowed="text, as the first is")
    return {**found, "inputs": _sources().texts(map(str, values), file)}


def _files(found: dict[str, Any], where: str, file: Path) -> dict[str, Any]:
    return {**found, "inputs": _sources().references([Path(path) for path in found["inputs"]], file, where)}


def _ragged(found: dict[str, Any], where: str, file: Path) -> dict[str, Any]:
    return {**found, "inputs": _sources().ragged(found["inputs"], file, where)}


def _dataset(found: dict[str, Any], where: str, file: Path) -> dict[str, Any]:
    """Every item once, in order; an item is an input, or a pair of input and target."""
    dataset, targets = found["inputs"], []
    if not len(dataset):
        raise UsageError(f"{where}: the dataset that prepare() returned is empty", allowed="at least one example")
    first = _item(dataset, 0, where)
    if _same(first[0]) != _same(_item(dataset, 0, where)[0]):
        raise UsageError(
            f"{where}: the dataset draws by chance: its first example is another one when it is asked again",
            hint="leave random transforms out, and write them as augment(), which belongs to training",
        )

    def inputs() -> Iterator[Any]:
        for row in range(len(dataset)):
            item = _item(dataset, row, where)
            targets.append(item[1])
            yield item[0]

    sources = _sources()
    if isinstance(first[0], str):
        made = sources.texts(inputs(), file)
    elif isinstance(first[0], bytes | Path):
        made = sources.encoded(sources.contents(inputs(), where), file)
    else:
        made = sources.equal(sources.ragged(inputs(), file, where))
    rest = {} if "targets" in found else {"targets": _targets(targets, where)}
    names = getattr(dataset, "classes", None)
    if "classes" not in found and names is not None and rest and rest["targets"].dtype.kind in "iu":
        rest["classes"] = [str(name) for name in names]
    return {**found, **rest, "inputs": made}


_FORMS = {"table": _table, "texts": _texts, "files": _files, "ragged": _ragged, "dataset": _dataset}


def _item(dataset: Any, row: int, where: str) -> tuple[Any, Any]:
    """Input and target (None without one) at `row`. Raises UsageError naming it, also where a package's code fails."""
    try:
        item = dataset[row]
    except (AssayError, MemoryError):
        raise
    except Exception as error:
        last, said = traceback.extract_tb(error.__traceback__)[-1], " ".join(str(error).split())
        raise UsageError(
            f"{where}: item {row} of {len(dataset)} of the dataset failed at {Path(last.filename).name}:{last.lineno}: "
            f"{type(error).__name__}: {said}",
            hint="correct what it reads, or leave it out in prepare()",
        ) from error
    return (item[0], item[1]) if isinstance(item, tuple | list) and len(item) == 2 else (item, None)


def _same(value: Any) -> object:
    if isinstance(value, str | bytes | Path):
        return value
    return content_hash.array_digest(np.asarray(value))


def _targets(values: list[Any], where: str) -> Any:
    alone = [row for row, value in enumerate(values) if value is None]
    if alone:
        count = f"{len(alone)} such of {len(values)}"
        raise UsageError(
            f"{where}: item {alone[0]} of the dataset is no pair of input and target ({count})",
            allowed='(input, target), or {"inputs": dataset, "targets": array}',
        )
    return np.asarray(values)


def _labelled(found: dict[str, Any], where: str) -> dict[str, Any]:
    """Targets that are text as numbers of classes, which are their sorted names where none are given."""
    targets = found.get("targets")
    given = np.asarray(targets) if isinstance(targets, list | tuple) or type(targets) is np.ndarray else np.empty(0)
    if given.ndim != 1 or not len(given) or not isinstance(given[0], str):
        return found
    names = [str(name) for name in found.get("classes") or sorted({str(name) for name in given.tolist()})]
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers.get(name, -1) for name in given.tolist()], dtype=np.int64)
    bad = np.flatnonzero(labels < 0)
    if len(bad):
        raise UsageError(
            f"{where}: the label of example {bad[0]} is {str(given[bad[0]])!r} ({len(bad)} such of {len(given)})",
            allowed=", ".join(names),
        )
    return {**found, "targets": labels, "classes": names}


def _sources() -> Any:
    return importlib.import_module("assay.data.arrow_sources")


def _is_table(value: object) -> bool:
    """A pandas DataFrame or an Arrow table, told without importing either."""
    return type(value).__module__.partition(".")[0] in ("pandas", "pyarrow") and hasattr(value, "columns")


def _columns(table: Any) -> Sequence[Any]:
    return list(table.columns if hasattr(table, "iloc") else table.column_names)


def _is_dataset(value: object) -> bool:
    """A map-style Dataset: anything with a length and items that is no collection of its own."""
    known = (Mapping, str, bytes, list, tuple, np.ndarray, np.generic)
    items = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return items and not isinstance(value, known) and not hasattr(value, "__array__")
