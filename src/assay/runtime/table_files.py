"""Tables of numbers that another tool wrote: CSV, JSON and JSON lines, read into columns of text.

Covers: byte-order marks, any line ends, a bare list of numbers, `;` and tab as separators, a first line that names no
columns, sentences for what is no table. Not covered: what a column means (`commands.compare_detect_column`), and what a
row is (`commands.compare_one_run_per_row`).
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.runtime import files

#: column → its cells, all of one length; the header of a bare list of numbers is "", and so is that of an index
Table = dict[str, list[str]]
SEPARATORS = (",", ";", "\t")
#: how a run can end without numbers that count
LOST = ("failed", "crashed", "killed", "diverged")
#: what `float` takes, less `1_000` and digits of other scripts, which stand in names and ids
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
NAME_THEM = "write a first line that names the columns, such as run,accuracy"


def read(path: Path) -> Table:
    """The table in `path`. Raises UsageError."""
    return parse(files.read_bytes(path, hint="name an existing CSV or JSON file"), str(path))


def parse(content: bytes, where: str) -> Table:
    """Columns of `content`, which is JSON where it begins so or `where`, its name, ends in .json; else CSV."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start})", allowed="UTF-8") from error
    if not text.strip():
        raise UsageError(f"{where} is empty", allowed="a header and one row per replicate")
    if where.endswith(".json") or text.lstrip()[0] in "[{":
        return _json(text, where)
    return _csv(text, where)


def _csv(text: str, where: str) -> Table:
    rows = _split(text, where)
    header = [cell.strip() for cell in rows[0]]
    if len(header) == 1 and number(header[0]) is not None:
        _check_bare(header[0], [row[0] for row in rows[1:]], where)
        header, rows = [""], [[], *rows]
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise UsageError(f"row {line} of {where} has {len(row)} cells", allowed=f"{len(header)}, as in its header")
    if len(rows) == 1:
        raise UsageError(f"{where} has a header and no rows", allowed="one row per replicate")
    cells = [[cell.strip() for cell in column] for column in zip(*rows[1:], strict=True)]
    if len(header) > 1 and not header[-1] and not any(cells[-1]):  # each line ends in a separator
        header, cells = header[:-1], cells[:-1]
    _check_header(header, where)
    return dict(zip(header, cells, strict=True))


def _split(text: str, where: str) -> list[list[str]]:
    """Rows of cells, by the separator that gives every row as many."""
    said = re.match(r"sep=(.)\r?\n", text)  # Excel's
    if said:
        return _rows(text[said.end() :], said[1], where)
    split = {mark: _rows(text, mark, where) for mark in SEPARATORS if mark in text}
    even = {mark: rows for mark, rows in split.items() if len(rows[0]) > 1 and len(set(map(len, rows))) == 1}
    others = [rows for mark, rows in even.items() if mark != ","]
    if "," in even and others and any(_DECIMAL_COMMA.fullmatch(cell.strip()) for row in others[0] for cell in row):
        return others[0]  # commas inside of numbers, which `numbers` refuses
    first = text.partition("\n")[0]
    fitting = next(iter(even), None) or next((mark for mark in SEPARATORS if mark in first), ",")
    return split[fitting] if fitting in split else _rows(text, fitting, where)


def _rows(text: str, separator: str, where: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except csv.Error as error:
        raise UsageError(f"{where} is not a CSV file: {error}") from error
    if not rows:
        raise UsageError(f"{where} is empty", allowed="a header and one row per replicate")
    return rows


def _check_bare(first: str, others: list[str], where: str) -> None:
    """A nameless column of pandas is called 0; a run can be 0 as well."""
    if first == "0" and others and not any(cell.strip().lstrip("+-").isdigit() for cell in others):
        raise UsageError(f"the first line of {where} is 0, a name of its column or a first run", hint=NAME_THEM)


def _check_header(header: list[str], where: str) -> None:
    """Refuse a first line that is a run: read as names, it would be lost."""
    for name in header if len(header) > 1 else ():
        if number(name) is not None:
            raise UsageError(f"the first line of {where} holds the number {name} and no names", hint=NAME_THEM)
    if "" in header[1:]:
        raise UsageError(f"column {header.index('', 1) + 1} of {where} has no name", hint=NAME_THEM)
    if len(set(header)) < len(header):
        raise UsageError(f"{where} names column {_twice(header)!r} twice", allowed="different names")


def _twice(header: list[str]) -> str:
    return next(name for name in header if header.count(name) > 1)


def _json(text: str, where: str) -> Table:
    found = _parsed(text, where)
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        names = list(dict.fromkeys(name for row in found for name in row))
        _check_header(names, where)
        return {name: [_cell(row.get(name), name, where) for row in found] for name in names}
    if isinstance(found, list):
        found = {"": found}
    if not isinstance(found, dict):
        raise UsageError(f"{where} holds a single {type(found).__name__}", allowed="a list, or lists by name")
    lists = {name: cells for name, cells in found.items() if isinstance(cells, list)}
    if not any(lists.values()):
        raise UsageError(f"{where} holds no list of numbers", allowed="a list, or lists by name")
    if len({len(cells) for cells in lists.values()}) > 1:
        lengths = ", ".join(f"{name} {len(cells)}" for name, cells in lists.items())
        raise UsageError(f"{where} has lists of different length: {lengths}", allowed="one entry per replicate in each")
    _check_header(list(lists), where)
    return {name: [_cell(cell, name, where) for cell in cells] for name, cells in lists.items()}


def _parsed(text: str, where: str) -> Any:
    """One JSON value, or the rows of JSON lines."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        rows = list(_objects(lines)) if len(lines) > 1 else []
        if len(rows) == len(lines) > 1:
            return rows
        raise UsageError(f"{where} is not JSON: {error}") from error


def _objects(lines: list[str]) -> Iterator[dict[str, Any]]:
    """The objects in the first of `lines`, up to one that holds none."""
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(found, dict):
            return
        yield found


def _cell(value: Any, name: str, where: str) -> str:
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise UsageError(
            f"{name or 'the list'!r} of {where} holds {kind} for a run", allowed="one number per replicate"
        )
    try:
        return "" if value is None else str(value)
    except (ValueError, RecursionError):
        return "a number of thousands of digits"  # which is none to compare


def number(cell: str) -> float | None:
    """The number in `cell`, None where it holds none; NaN and infinities are numbers here."""
    return float(cell) if _NUMBER.fullmatch(cell) else None


def numbers(cells: list[str], name: str, where: str) -> list[float]:
    """The numbers of one column. Raises UsageError naming the first cell that is no finite number."""
    found = []
    for row, cell in enumerate(cells, start=1):
        value = number(cell)
        if value is None:
            raise UsageError(
                f"column {name!r} of {where} holds {cell!r} in replicate {row}",
                allowed="numbers",
                hint=f"write {cell.replace(',', '.')} for {cell}" if _DECIMAL_COMMA.fullmatch(cell) else "",
            )
        if not math.isfinite(value):
            raise UsageError(
                f"column {name!r} of {where} holds {cell} in replicate {row}",
                allowed="finite numbers",
                hint="say that it diverged, in a column `status` with the value diverged",
            )
        found.append(value)
    return found
