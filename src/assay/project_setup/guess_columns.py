"""A table's columns: which is the label, what is predicted, and which columns tell nothing."""

from __future__ import annotations

import codecs
import csv
import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

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


class NoTableError(UsageError):
    """Why a file is no table of examples."""


def read(path: Path, template: str = "", seen: str = "") -> Columns:
    """The columns of a .csv, .tsv or .parquet file, which is called `seen` in sentences.

    Raises NoTableError for one that is no table of examples, and for Parquet where pyarrow is not installed.
    """
    where = seen or path.name
    if path.suffix.lower() in PARQUET:
        return _of_parquet(path, template, where)
    delimiter = _delimiter(path)
    rows = _rows(path, delimiter, where)
    names = rows[0].cells if rows else []
    body = [row for row in rows[1:] if len(row.cells) == len(names)]
    _check_shape(where, names, len(body))
    if all(map(_is_number, names)):
        raise NoTableError(f"the first row of {where} holds numbers", allowed="names of its columns")
    values = {name: [row.cells[number].strip() for row in body] for number, name in enumerate(names)}
    count = "the first " * (len(rows) > _ROWS) + f"{len(body):,}"
    return _columns(where, values, [row.line for row in body], delimiter, template, count)


class _Row(NamedTuple):
    """Cells of a row, and the line of the file on which it begins."""

    line: int
    cells: list[str]


def _rows(path: Path, delimiter: str, where: str) -> list[_Row]:
    """The first rows; a blank line is none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(islice(_numbered(stream, delimiter), _ROWS + 1))
    except UnicodeDecodeError as error:
        encoding = "utf-16" if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin1"
        hint = f"iconv -f {encoding} -t utf-8 {quote(where)} > {quote(f'utf8-{path.name}')}"
        raise NoTableError(f"{_undecoded(path, where)} is not UTF-8", hint=hint) from error
    except (csv.Error, OSError) as error:
        raise NoTableError(f"{where} cannot be read: {error}", hint="correct the file") from error


def _numbered(stream: Iterable[str], delimiter: str) -> Iterator[_Row]:
    reader, before = csv.reader(stream, delimiter=delimiter), 0
    for cells in reader:
        if cells:
            yield _Row(before + 1, cells)
        before = reader.line_num


def _undecoded(path: Path, where: str) -> str:
    """The first row that is not UTF-8."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.decode("utf-8", "replace").encode() != line:
                return f"{where}, row {number}"
    return where


def _check_shape(where: str, names: Sequence[str], rows: int) -> None:
    if len(names) == 1:
        raise NoTableError(f"{where} has a single column {names[0]!r}", allowed="two columns or more")
    if twice := [name for name in names if names.count(name) > 1]:
        raise NoTableError(f"{where} has two columns {twice[0]!r}", allowed="a name for each column")
    if rows < _FEW:
        raise NoTableError(f"{where} has {rows if names else 'no'} rows", allowed=f"a header and {_FEW} rows or more")


def _of_parquet(path: Path, template: str, where: str) -> Columns:
    if importlib.util.find_spec("pyarrow") is None:
        raise NoTableError(f"{where} is a Parquet file", hint="pip install 'dvc-assay[ready]'")
    found = importlib.import_module("assay.project_setup.parquet_columns").read(path, _ROWS)
    if found is None:
        raise NoTableError(f"{where} is no Parquet file", hint="write it again as Parquet")
    rows = len(next(iter(found.values.values()), []))
    _check_shape(where, list(found.values), rows)
    count = "the first " * found.more + f"{rows:,}"
    return _columns(where, found.values, range(1, rows + 1), ",", template, count, found.others)


def _columns(
    where: str,
    values: dict[str, list[str]],
    lines: Sequence[int],
    delimiter: str,
    template: str,
    count: str,
    others: Sequence[str] = (),
) -> Columns:
    """What they are; `lines`: where each row begins in the file."""
    label = _label(where, values)
    given = {} if delimiter == "," else {"delimiter": delimiter}
    rest = [name for name in values if name != label]
    text = _named({name: values[name] for name in rest}, TEXTS) or next(iter(filter(_prose(values), rest)), "")
    continuous, classes = _is_continuous(values[label]), len(set(values[label]) - {""})
    if template == "text" or (not template and text and _prose(values)(text) and not continuous):
        if not text:
            raise NoTableError(f"{where} has no column of texts", allowed=f"{', '.join(TEXTS)}, or one of sentences")
        says = f"a table of {count} texts (column {text!r}), label {label!r} of {classes} classes{_how(label, values)}"
        return Columns("text", says, {"text": text, "target": label, **given})
    wanted = template or ("regression" if continuous else "table")
    if wanted == "regression":
        _check_numbers(where, label, values[label], lines)
    ignored = [name for name in rest if _tells_nothing(name, values[name])]
    kind = "a number" if wanted == "regression" else f"{classes} classes"
    says = f"a table of {count} rows, label {label!r} ({kind}){_how(label, values)}, {len(rest) - len(ignored)} columns"
    left = f"; left out: {', '.join(ignored)} (another value in each row, or free text)" if ignored else ""
    left += f"; left out: {', '.join(others)} (neither numbers nor text)" if others else ""
    ignored += others
    return Columns(wanted, says + left, {"target": label, **given, **({"drop": ignored} if ignored else {})})


def _label(where: str, values: dict[str, list[str]]) -> str:
    """The column to predict: one with a telling name, else the last that has two values."""
    varied = [name for name in values if len(set(values[name]) - {""}) > 1]
    label = _named(values, LABELS) or [*list(values)[-1:], *varied][-1]
    if label not in varied:
        known = sorted(set(values[label]) - {""})
        what = repr(known[0]) if known else "empty"
        raise NoTableError(
            f"{where}: column {label!r}, the label, is {what} in all {len(values[label])} rows",
            allowed="two classes or more",
            hint="correct the file",
        )
    return label


def _check_numbers(where: str, label: str, values: Sequence[str], lines: Sequence[int]) -> None:
    """Raise UsageError naming the first label that is no number; one that is missing is none's."""
    for row, value in zip(lines, values, strict=True):
        if value and not _is_number(value):
            raise UsageError(
                f"{where}, row {row}: {value!r} in the column {label!r} is no number",
                allowed="numbers, or nothing",
                hint="correct the file, or assay init --template table",
            )


def _how(label: str, values: dict[str, list[str]]) -> str:
    """That a label was taken for its place, and where another is named; its own name needs no words."""
    if _named(values, LABELS):
        return ""
    last = "last column" if label == list(values)[-1] else "last column that varies"
    return f" in the {last} (another one: data.target in params.yaml)"


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
