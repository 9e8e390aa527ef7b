"""Experiments as a table that fits a terminal: what does not fit is cut, numbers never."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from assay.core import reported_key, sanitize_output
from assay.report.json_rows import ShowRow

#: columns of a terminal of which nothing is known
COLUMNS = 100
#: between two columns
GAP = "  "
#: widest name that is shown whole, narrowest column of changes
NAME, CHANGE = 22, 12
#: states of an experiment that has no numbers yet
UNDER_WAY = ("running", "queued")
HEADERS = ("name", "change", "metric", "delta [interval]", "verdict")


def text(rows: Sequence[ShowRow], columns: int = COLUMNS) -> str:
    """Aligned tables, one for rows that can be compared, each headed by metric version and baseline."""
    if not rows:
        return "no experiment yet; next: dvc exp run"
    groups = itertools.groupby(rows, lambda row: (row.metric_version, row.baseline))
    return "\n\n".join(_block(_title(*key), list(group), columns) for key, group in groups)


def _title(version: str, baseline: str) -> str:
    return f"{version or 'without numbers yet'}{f' against {baseline}' if version and baseline else ''}"


def _block(title: str, rows: Sequence[ShowRow], columns: int) -> str:
    metric = next((reported_key.label(row.metric, row.metric_version) for row in rows if row.metric), HEADERS[2])
    cells = [(HEADERS[0], HEADERS[1], metric, *HEADERS[3:]), *map(_cells, rows)]
    widths = _fitted([max(map(len, column)) for column in zip(*cells, strict=True)], columns)
    head, *lines = [_line(row, widths, columns) for row in cells]
    told = [[line, *_told(row, columns)] for line, row in zip(lines, rows, strict=True)]
    return "\n".join([sanitize_output.line(title), head, *itertools.chain.from_iterable(told)])


def _told(row: ShowRow, columns: int) -> list[str]:
    """Why it was run and what was learned, a line each below its numbers, cut to the table's width."""
    said = [f"why: {row.why}"] if row.why else []
    said += [f"note: {one}" for one in row.notes]
    return [_cut(f"{GAP}{GAP}{sanitize_output.line(one)}", columns) for one in said]


def _fitted(widths: list[int], columns: int) -> list[int]:
    """Names and changes give way until a line fits."""
    room = columns - sum(widths[2:]) - len(GAP) * (len(widths) - 1)
    name = min(widths[0], max(NAME, room - widths[1]))
    name = max(min(name, room - CHANGE), min(widths[0], CHANGE))
    return [name, max(min(widths[1], room - name), CHANGE), *widths[2:]]


def _line(cells: Iterable[str], widths: Sequence[int], columns: int) -> str:
    padded = (_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True))
    return _cut(GAP.join(padded).rstrip(), columns)


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"


def _cells(row: ShowRow) -> tuple[str, ...]:
    plain = [sanitize_output.line(part) for part in (row.name, ", ".join(map(_change, row.changed)))]
    return (*plain, _metric(row), _delta(row), sanitize_output.line(_verdict(row)))


def _change(line: str) -> str:
    """`train.epochs 20 → 3` as `epochs 3`; files of code by their names."""
    before, arrow, value = line.partition(" → ")
    if arrow:
        return f"{before.split(' ')[0].rpartition('.')[2]} {value}"
    named, code, files = line.partition("code: ")
    return named + ", ".join(file.split(" ")[0].rpartition("/")[2] for file in files.split(", ")) if code else line


def _verdict(row: ShowRow) -> str:
    if row.verdict:
        return row.verdict
    if row.state in UNDER_WAY:
        return f"{row.state}: {row.stage}" if row.stage else row.state
    return "no verdict"


def _metric(row: ShowRow) -> str:
    shown = _numbers([row.mean, row.sd])
    return "" if row.mean is None else " ±".join(filter(None, shown))


def _delta(row: ShowRow) -> str:
    if row.delta is None:
        return ""
    delta, low, high = _numbers([row.delta, row.ci_low, row.ci_high], "+")
    return f"{delta} [{low}, {high}]" if low and high else delta


def _numbers(values: Sequence[float | None], sign: str = "") -> list[str]:
    """All with four decimals; with four digits where these would say nothing, or too much."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    form = f"{sign}.4f" if largest == 0 or 0.001 <= largest < 1000 else f"{sign}.4g"
    return ["" if value is None else f"{value:{form}}" for value in values]
