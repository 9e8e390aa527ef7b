"""The rows of a table that another tool wrote: is each of them one run, and how did it end?

Covers: states of runs as W&B, MLflow and others name them; steps of a curve, a run that stands there twice, several
metrics or arms below each other, rows of means, all of which would pass for replicates. Not covered: which column
holds the numbers (`commands.compare_detect_column`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from assay.core.errors import UsageError
from assay.runtime.table_files import LOST, NAME_THEM, Table, number

FINISHED, RUNNING = ("finished", "ok"), "running"
STATES = ("status", "state")
#: names of columns, as `plain` writes them
STEPS = (
    *("step", "steps", "globalstep", "epoch", "epochs", "iteration", "iterations", "iter"),
    *("iters", "trainingiteration", "walltime"),
)
RUNS = (
    *("run", "runid", "runuuid", "runname", "name", "displayname", "id", "trial"),
    *("trialid", "jobid", "seed", "experimentname"),
)
#: of these, the ones that no two runs share
ONCE = ("run", "runid", "runuuid", "trial", "trialid", "jobid")
SUMMARIES = (
    *("mean", "std", "sd", "stderr", "average", "avg", "median", "count"),
    *("total", "sum", "min", "max", "25%", "50%", "75%"),
)
KEEP_LAST = "write one row for each run, with its last number and a column `run`"


def plain(name: str) -> str:
    """A column's name without case, marks and what stands before it: `trainer/global_step` is globalstep."""
    return re.sub(r"[\s_#-]", "", re.split(r"[./]", name)[-1]).casefold()


def is_index(name: str) -> bool:
    """Whether `name` is what pandas calls rows that have no name."""
    return not name or re.fullmatch(r"Unnamed: \d+(_level_\d+)?", name) is not None


def check(table: Table, where: str) -> None:
    """Raises UsageError where rows are anything but runs, each of them once."""
    if state := next((name for name in table if name.casefold() in LOST), ""):  # of a first run without a header
        raise UsageError(
            f"{where} has a column called {state!r}",
            allowed="a column `status` that says for each run whether it diverged",
            hint=NAME_THEM,
        )
    by_name = {plain(name): cells for name, cells in table.items()}
    for name, cells in table.items():
        if is_index(name) or plain(name) in RUNS:
            _check_labels(name, cells, where)
        if plain(name) in STEPS and len(set(cells)) > 1 and not _told_apart(table):
            raise UsageError(
                f"column {name!r} of {where} counts steps: one curve is no set of replicates", hint=KEEP_LAST
            )
    for name in ("metric", "metricname", "variable", "tag", "key"):
        if "value" in by_name and len(kinds := sorted(set(by_name.get(name, [])))) > 1:
            raise UsageError(f"{where} holds {kinds[0]!r} and {kinds[1]!r} below each other", hint="keep one of them")
    for name in ("arm", "split"):
        if len(kinds := sorted(set(by_name.get(name, [])))) > 1:
            raise UsageError(f"rows of {where} are {kinds[0]!r} and {kinds[1]!r}", hint="write a file for each of them")


def _check_labels(name: str, cells: Sequence[str], where: str) -> None:
    if summary := next((cell for cell in cells if cell.casefold() in SUMMARIES), ""):
        raise UsageError(f"row {summary!r} of {where} is no run", hint="remove what was computed from the runs")
    twice = [cell for cell, count in Counter(cells).items() if cell and count > 1]
    if twice and plain(name) in ONCE:
        raise UsageError(f"{where} holds {name} {twice[0]} {cells.count(twice[0])} times", hint=KEEP_LAST)


def _told_apart(table: Table) -> bool:
    """Whether a column names another run in each row; one that only counts might count steps."""
    named = [cells for name, cells in table.items() if plain(name) in RUNS and plain(name) != "id"]
    named += [cells for name, cells in table.items() if plain(name) == "id" and not all(map(_counts, cells))]
    return any(all(cells) and len(set(cells)) == len(cells) for cells in named)


def _counts(cell: str) -> bool:
    return (found := number(cell)) is not None and found.is_integer()


def seeds(table: Table) -> str | None:
    """The column that holds seeds, None without one: `seed`, else the only one called so after a prefix."""
    called = [name for name in table if plain(name) in ("seed", "randomseed")]
    return "seed" if "seed" in table else called[0] if len(called) == 1 else None


def seed(cell: str) -> str:
    """A seed as it is compared: pandas writes 1.0 for 1 where another run has none."""
    found = number(cell)
    return str(int(found)) if found is not None and found.is_integer() else cell


def state_column(table: Table, where: str) -> str | None:
    """The column that says how runs ended, None without one. Raises UsageError where two could."""
    called = [name for name in table if name.casefold() in STATES]
    if len(called) > 1:
        raise UsageError(f"{where} has columns {called[0]!r} and {called[1]!r}", allowed="one that says how runs ended")
    return called[0] if called else None


def ended(states: Sequence[str], cells: Sequence[str], where: str, *, finished_only: bool) -> list[bool | None]:
    """For each run whether it finished; None for one that still runs, and is left out with `finished_only`.

    `cells` are their numbers. Raises UsageError for another state, and for a finished run without a number.
    """
    return [
        _ended(state, cell, f"replicate {row} of {where}", finished_only)
        for row, (state, cell) in enumerate(zip(states, cells, strict=True), start=1)
    ]


def _ended(state: str, cell: str, who: str, finished_only: bool) -> bool | None:
    word = state.casefold()
    if word in LOST:
        return False
    if word == RUNNING:
        if finished_only:
            return None
        raise UsageError(f"{who} is {state}", allowed="runs that ended", hint="wait for it, or say --finished-only")
    if word not in FINISHED:
        raise UsageError(f"{who} has the state {state!r}", allowed=", ".join((*FINISHED, *LOST, RUNNING)))
    if not cell:
        raise UsageError(f"{who} is {state} and has no number", allowed=f"a number, or a state: {', '.join(LOST)}")
    return True
