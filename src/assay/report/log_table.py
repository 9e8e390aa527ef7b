"""The log as text, Markdown and CSV. Rows of different metric versions never share a table."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Sequence

import msgspec
from tabulate import tabulate

from assay.core import reported_key, sanitize_output
from assay.core.schemas import as_json
from assay.report.json_rows import LogRow

HEADERS = ("name", "date", "author", "changed", "metric", "delta [interval]", "n", "test", "state")
#: header of the reason of a run and the notes about it
TOLD = "why and what was learned"
_FOLDERS = {"strategy": "strategy/", "revocation": "revoked/", "attempt": "attempt/", "rejected": "rejected/"}


def text(rows: Sequence[LogRow]) -> str:
    """Aligned tables, one a run of rows under the same metric version, headed by it."""
    if not rows:
        return "no strategy accepted yet; next: assay accept EXPERIMENT NAME"
    blocks = [_block(version, group, "simple") for version, group in _runs(rows)]
    return "\n\n".join(f"{sanitize_output.line(version)}\n{table}" for version, table in blocks)


def markdown(rows: Sequence[LogRow]) -> str:
    """The same as Markdown tables under headings."""
    blocks = [_block(version, group, "pipe") for version, group in _runs(rows)]
    return "\n\n".join(f"### {sanitize_output.markdown(version)}\n\n{table}" for version, table in blocks)


def comma_separated(rows: Sequence[LogRow]) -> str:
    """CSV with every field in full precision, one line a row; `rescored` as JSON, notes joined."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, LogRow.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        plain = msgspec.to_builtins(row)
        plain |= {"rescored": as_json(row.rescored).decode() if row.rescored else "", "notes": "; ".join(row.notes)}
        writer.writerow({key: sanitize_output.csv_cell(value) for key, value in plain.items()})
    return stream.getvalue().removesuffix("\n")


def _runs(rows: Iterable[LogRow]) -> list[tuple[str, list[LogRow]]]:
    return [(version, list(group)) for version, group in itertools.groupby(rows, lambda row: row.metric_version)]


def _block(version: str, rows: Sequence[LogRow], form: str) -> tuple[str, str]:
    escape = form == "pipe"
    cells = [[_plain(cell, escape) for cell in _cells(row)] for row in rows]
    told = [_plain(_told(row), escape) for row in rows]
    headers = [*HEADERS]
    if any(told):  # a column only where there is something to say
        cells, headers = [[*row, said] for row, said in zip(cells, told, strict=True)], [*HEADERS, TOLD]
    table = tabulate(cells, headers, tablefmt=form, disable_numparse=True)
    return version or "without a metric version", table


def _cells(row: LogRow) -> tuple[str, ...]:
    name = _FOLDERS.get(row.kind, "") + row.name
    n = "" if row.n is None else str(row.n)
    return name, row.date, row.author, row.changed, _metric(row), _delta(row), n, number(row.test), row.state


def _told(row: LogRow) -> str:
    """Why it was run, and what was learned from it."""
    return "; ".join([*([row.why] if row.why else []), *(f"note: {one}" for one in row.notes)])


def _metric(row: LogRow) -> str:
    spread = "" if row.sd is None else f" ±{number(row.sd)}"
    under = [f"; {number(mean) or 'diverged'} under {version}" for version, mean in row.rescored.items()]
    rank = reported_key.rank(row.metric_version)
    own = f"{number(row.mean)}{spread}{f' ({rank})' if rank else ''}" if row.mean is not None else ""
    return own + "".join(under)


def _delta(row: LogRow) -> str:
    if row.delta is None:
        return ""
    interval = "" if row.ci_low is None or row.ci_high is None else f" [{row.ci_low:+.4f}, {row.ci_high:+.4f}]"
    return f"{row.delta:+.4f}{interval}"


def number(value: float | None) -> str:
    """Four decimals, "" for None."""
    return "" if value is None else f"{value:.4f}"


def _plain(cell: str, escape: bool) -> str:
    """One printable line, so that nobody's name or reason can move the cursor, or break out of a Markdown table."""
    return sanitize_output.markdown_cell(cell) if escape else sanitize_output.line(cell)
