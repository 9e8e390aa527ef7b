"""Tables of numbers that another tool wrote: CSV and JSON, read into columns of text.

Covers: byte-order marks, any line ends, a bare list of numbers, `;` and tab as separators, sentences for what is
no table. Not covered: what a column means (`verbs.compare_sides`).
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from assay.outside import files
from assay.words.errors import UsageError

#: column → its cells, all of one length; the header of a bare list of numbers is ""
Table = dict[str, list[str]]


def read(path: Path) -> Table:
    """The table in `path`; by its ending JSON, else CSV. Raises UsageError."""
    return parse(files.read_bytes(path, mend="name an existing CSV or JSON file"), str(path))


def parse(content: bytes, where: str) -> Table:
    """Columns of `content`; `where` names it in sentences, and says JSON by ending in .json."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start})", allowed="UTF-8") from error
    if not text.strip():
        raise UsageError(f"{where} is empty", allowed="a header and one row per replicate")
    return _json(text, where) if where.endswith(".json") else _csv(text, where)


def _csv(text: str, where: str) -> Table:
    first = text[: text.find("\n")] if "\n" in text else text
    separator = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except csv.Error as error:
        raise UsageError(f"{where} is not a CSV file: {error}") from error
    header = [cell.strip() for cell in rows[0]]
    if len(header) == 1 and number(header[0]) is not None:
        header, rows = [""], [[], *rows]
    if len(set(header)) < len(header):
        raise UsageError(f"{where} names column {_twice(header)!r} twice", allowed="different names")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise UsageError(f"row {line} of {where} has {len(row)} cells", allowed=f"{len(header)}, as in its header")
    if len(rows) == 1:
        raise UsageError(f"{where} has a header and no rows", allowed="one row per replicate")
    columns = zip(*rows[1:], strict=True)
    return {name: [cell.strip() for cell in column] for name, column in zip(header, columns, strict=True)}


def _twice(header: list[str]) -> str:
    return next(name for name in header if header.count(name) > 1)


def _json(text: str, where: str) -> Table:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {error}") from error
    if isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        names = list(dict.fromkeys(name for row in found for name in row))
        return {name: [_cell(row.get(name, "")) for row in found] for name in names}
    if isinstance(found, list):
        found = {"": found}
    if not isinstance(found, dict):
        raise UsageError(f"{where} holds a single {type(found).__name__}", allowed="a list, or lists by name")
    table = {name: [_cell(cell) for cell in cells] for name, cells in found.items() if isinstance(cells, list)}
    if not any(table.values()):
        raise UsageError(f"{where} holds no list of numbers", allowed="a list, or lists by name")
    if len({len(cells) for cells in table.values()}) > 1:
        lengths = ", ".join(f"{name} {len(cells)}" for name, cells in table.items())
        raise UsageError(f"{where} has lists of different length: {lengths}", allowed="one entry per replicate in each")
    return table


def _cell(value: Any) -> str:
    try:
        return "" if value is None else str(value)
    except (ValueError, RecursionError):
        return "a number of thousands of digits"  # which is none to compare


def number(cell: str) -> float | None:
    """The number in `cell`, None where it holds none; NaN and infinities are numbers here."""
    try:
        return float(cell)
    except ValueError:
        return None


def numbers(cells: list[str], name: str, where: str) -> list[float]:
    """The numbers of one column. Raises UsageError naming the first cell that is no finite number."""
    found = []
    for row, cell in enumerate(cells, start=1):
        value = number(cell)
        if value is None:
            raise UsageError(f"column {name!r} of {where} holds {cell!r} in replicate {row}", allowed="numbers")
        if not math.isfinite(value):
            raise UsageError(
                f"column {name!r} of {where} holds {cell} in replicate {row}",
                allowed="finite numbers",
                mend="say that it diverged, in a column `status` with the value diverged",
            )
        found.append(value)
    return found
