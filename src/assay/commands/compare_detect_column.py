"""Which column of a table of another tool holds the numbers: guessed only where no other one could.

Covers: index, run ids, text beside the numbers. Not covered: records, which name the metric that decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from assay.commands import compare_one_run_per_row
from assay.core.errors import UsageError
from assay.runtime.table_files import LOST, Table

#: text columns of exports, by their names as `run_rows.plain` writes them; they may be empty
TEXT = (
    *("notes", "tags", "user", "sweep", "group", "created", "createdat", "starttime"),
    *("endtime", "sourcename", "sourcetype"),
)
#: what stands where a number is missing
MISSING = ("nan", "inf", "infinity", "none", "null", "na", "n/a", "missing", "error", "unknown", "undefined", *LOST)
#: text without a digit, a word such as resnet50, or a date: nothing that somebody could have meant as a number
_TEXT = re.compile(r"(?=.*[^\W\d_])\D+|[^\W\d][\w.-]*|\d{4}-\d\d-\d\d.*", re.DOTALL)


def only_one(table: Table, where: str, recorded: Collection[str]) -> str:
    """The only column that can hold the numbers; `recorded` are names that never do. Raises UsageError."""
    named = [name for name in table if name not in recorded and name.casefold() not in compare_one_run_per_row.STATES]
    if len(table) > 1:
        recorded = {*recorded, compare_one_run_per_row.seeds(table) or "seed"}
        named = [name for name in named if name not in recorded and not compare_one_run_per_row.is_index(name)]
    possible = [name for name in named if not _is_text(name, table[name])]
    if len(named) == 1 and not _is_id(named[0]):
        return named[0]
    if len(possible) == 1 and not _is_id(possible[0]):
        return possible[0]
    listed = ", ".join(map(repr, possible or named)) or "none"
    raise UsageError(f"{where} has {len(named)} columns", allowed=listed, hint="choose one with --column NAME")


def _is_id(name: str) -> bool:
    """A number that names or counts runs. An id and a metric look alike, so nothing is guessed between them."""
    return compare_one_run_per_row.plain(name) in (
        *compare_one_run_per_row.RUNS,
        *compare_one_run_per_row.STEPS,
        "number",
        "index",
        "fold",
        "replicate",
        "no",
    )


def _is_text(name: str, cells: list[str]) -> bool:
    """Whether no cell could be meant as a number. An empty column may be a metric that nothing logged."""
    filled = [cell for cell in cells if cell]
    if not filled:
        return compare_one_run_per_row.plain(name) in TEXT
    return all(_TEXT.fullmatch(cell) and cell.casefold() not in MISSING for cell in filled)
