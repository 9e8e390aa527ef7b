"""A table's columns: which is the label, what is predicted, and which columns tell nothing."""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError

PARQUET = {".parquet", ".pq"}
#: names of a column to predict, the most telling first
LABELS = ("label", "labels", "target", "targets", "class", "y", "outcome", "sentiment", "category", "species")
TEXTS = ("text", "sentence", "review", "comment", "content", "message", "body", "title")
#: rows that are looked at, and rows that make a table worth a guess
_ROWS, _FEW = 5_000, 10
#: different values of a label up to which it is a class
_CLASSES = 20
#: different values of a text column up to which it is a category
_KINDS = 50


@dataclass(frozen=True)
class Columns:
    """What a table holds, and the keyword arguments of prepare() for it, without `file`."""

    template: str
    says: str
    data: dict[str, Any]


def read(path: Path, template: str = "") -> Columns | None:
    """The columns of a .csv, .tsv or .parquet file; None for one that is no table of examples, and for Parquet where
    pyarrow is not installed.

    Raises UsageError where `template` asks for a label of another kind.
    """
    if path.suffix.lower() in PARQUET:
        return _of_parquet(path, template)
    delimiter = _delimiter(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for _, row in zip(range(_ROWS + 1), csv.reader(stream, delimiter=delimiter), strict=False)]
    except (UnicodeDecodeError, csv.Error, OSError):
        return None
    names, body = (rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]) if rows else ([], [])
    if len(names) < 2 or len(set(names)) < len(names) or len(body) < _FEW or all(map(_is_number, names)):
        return None
    values = {name: [row[number].strip() for row in body] for number, name in enumerate(names)}
    return _columns(values, delimiter, template, "the first " * (len(rows) > _ROWS) + f"{len(body):,}")


def _of_parquet(path: Path, template: str) -> Columns | None:
    if importlib.util.find_spec("pyarrow") is None:
        return None
    found = importlib.import_module("assay.project_setup.parquet_columns").read(path, _ROWS)
    rows = len(next(iter(found.values.values()), [])) if found else 0
    if found is None or len(found.values) < 2 or rows < _FEW:
        return None
    return _columns(found.values, ",", template, "the first " * found.more + f"{rows:,}", found.others)


def _columns(
    values: dict[str, list[str]], delimiter: str, template: str, count: str, others: Sequence[str] = ()
) -> Columns | None:
    label = _named(values, LABELS) or list(values)[-1]
    given = {} if delimiter == "," else {"delimiter": delimiter}
    rest = [name for name in values if name != label]
    text = _named({name: values[name] for name in rest}, TEXTS) or next(iter(filter(_prose(values), rest)), "")
    continuous, classes = _is_continuous(values[label]), len(set(values[label]) - {""})
    if classes < 2:
        return None
    if template == "text" or (not template and text and _prose(values)(text) and not continuous):
        if not text:
            return None
        says = f"a table of {count} texts (column {text!r}), label {label!r} of {classes} classes{_how(label, values)}"
        return Columns("text", says, {"text": text, "target": label, **given})
    wanted = template or ("regression" if continuous else "table")
    if wanted == "regression" and not all(map(_is_number, values[label])):
        raise UsageError(f"the column {label!r} holds no numbers", hint="assay init --template table")
    ignored = [name for name in rest if _tells_nothing(name, values[name])]
    kind = "a number" if wanted == "regression" else f"{classes} classes"
    says = f"a table of {count} rows, label {label!r} ({kind}){_how(label, values)}, {len(rest) - len(ignored)} columns"
    left = f"; left out: {', '.join(ignored)} (another value in each row, or free text)" if ignored else ""
    left += f"; left out: {', '.join(others)} (neither numbers nor text)" if others else ""
    ignored += others
    return Columns(wanted, says + left, {"target": label, **given, **({"drop": ignored} if ignored else {})})


def _how(label: str, values: dict[str, list[str]]) -> str:
    """That a label was taken for its place, and where another is named; its own name needs no words."""
    return "" if _named(values, LABELS) else " in the last column (another one: data.target in params.yaml)"


def _delimiter(path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as stream:
        first = stream.readline(100_000).decode("utf-8", "replace")
    return max(",;\t|", key=first.count)


def _named(values: dict[str, list[str]], wanted: Sequence[str]) -> str:
    lower = {name.strip().lower(): name for name in reversed(list(values))}
    return next((lower[name] for name in wanted if name in lower), "")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_continuous(values: Sequence[str]) -> bool:
    """Whether they are numbers that count something, rather than names of classes."""
    known = [value for value in values if value]
    if not known or not all(map(_is_number, known)):
        return False
    return len(set(known)) > _CLASSES or any(not float(value).is_integer() for value in known)


def _prose(values: dict[str, list[str]]) -> Any:
    """Whether a column holds sentences."""
    return lambda name: sum(len(value.split()) for value in values[name]) > 4 * len(values[name])


def _tells_nothing(name: str, values: Sequence[str]) -> bool:
    """Whether a column is an id or free text, from which nothing can be learnt as it stands."""
    different = len(set(values) - {""})
    if all(_is_number(value) for value in values if value):
        counts = different == len(values) and all(value.lstrip("-").isdigit() for value in values)
        return counts and (name.strip().lower() in ("", "id", "index") or name.lower().endswith("_id"))
    return different == len(values) or different > max(_KINDS, len(values) // 2)
