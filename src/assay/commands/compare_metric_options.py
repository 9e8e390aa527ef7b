"""How the numbers of one column are judged: direction, smallest effect, worst value, as a record or a file says it.

Covers: the metric's own row in results/rulers.csv, the columns of results/replicates.csv for the metric that decides,
the columns of a file of another tool, which must say one thing in all of its rows. Not covered: what a user says
instead (`commands.compare`).
"""

from __future__ import annotations

from typing import NamedTuple

from assay.core.errors import IncomparableError, UsageError
from assay.core.metric_version import metric_name
from assay.core.paths import RULERS
from assay.runtime import table_files
from assay.runtime.table_files import Table

DIRECTIONS = ("maximize", "minimize")


class MetricRow(NamedTuple):
    """What is recorded about one metric; "" and None where nothing is."""

    key: str = ""  # its metric version
    direction: str = ""
    min_effect: float | None = None
    worst: float | None = None  # what a diverged replicate counts as
    packages: str = ""  # that the metric imports, with their versions


def of_file(table: Table, where: str) -> MetricRow:
    """What a table says in columns beside its numbers. Raises UsageError where its rows disagree."""
    return MetricRow(
        direction=_direction(_only(table, "direction", where), where),
        min_effect=_number(_only(table, "min_effect", where), "min_effect", where),
        worst=_number(_only(table, "worst", where), "worst", where),
    )


def of_record(table: Table, rulers: Table | None, metric: str, where: str) -> MetricRow:
    """What the record `table` says about `metric`; `rulers` is its results/rulers.csv, None where it is older.

    The columns of results/replicates.csv are about the metric that decides, and about no other.
    """
    version = table["metric_version"][0]
    decides = metric_name(version)
    if rulers is None:
        if metric != decides:
            raise UsageError(
                f"{where} has no {RULERS}, which says how {metric} is judged",
                allowed=decides,
                hint="measure it again with `dvc exp run`",
            )
        return of_file(table, where)._replace(key=version)
    found = own(rulers, metric, where)
    if metric != decides:
        return found
    if found.key != version:
        raise UsageError(
            f"{RULERS} of {where} says {found.key}, its results/replicates.csv {version}", hint="dvc repro evaluate"
        )
    return of_file(table, where)._replace(key=version, packages=found.packages)


def packages(content: bytes | None, metric: str, where: str) -> str:
    """What `metric` imported by the results/rulers.csv in `content`, "" where an older record does not say it.

    Raises IncomparableError where it read what its version does not cover.
    """
    rulers = {} if content is None else table_files.parse(content, RULERS)
    return own(rulers, metric, where).packages if metric in rulers.get("metric", ()) else ""


def own(rulers: Table, metric: str, where: str) -> MetricRow:
    """The row of `metric`."""
    within = f"{RULERS} of {where}"
    try:
        names = rulers["metric"]
        rows = {name: row for row, name in enumerate(names)}
        if metric not in rows or len(rows) < len(names):
            raise UsageError(f"{within} has no row of its own for {metric!r}", allowed=", ".join(rows) or "none")
        row = rows[metric]
        if unseen := rulers.get("unseen", [""] * len(names))[row]:
            raise IncomparableError(
                f"{metric} of {where} was computed from {unseen}, which {rulers['key'][row]} does not cover",
                hint="name what the metric reads in READS, then measure it again with `dvc exp run`",
            )
        return MetricRow(
            key=rulers["key"][row],
            direction=_direction(rulers["direction"][row], within),
            min_effect=_number(rulers["min_effect"][row], "min_effect", within),
            worst=_number(rulers["worst"][row], "worst", within),
            packages=rulers.get("packages", [""] * len(names))[row],
        )
    except KeyError as error:
        raise UsageError(f"{within} has no column {error.args[0]!r}", hint="dvc repro evaluate") from error


def _only(table: Table, name: str, where: str) -> str:
    """What all rows say in the column `name`; "" without one."""
    said = sorted(set(table.get(name, [""])))
    if len(said) > 1:
        told = " and ".join(repr(cell) for cell in said[:2])
        raise UsageError(f"column {name!r} of {where} holds {told}", allowed="the same in each row")
    return said[0]


def _direction(cell: str, where: str) -> str:
    if cell and cell not in DIRECTIONS:
        raise UsageError(
            f"the direction in {where} is {cell!r}",
            allowed=", ".join(DIRECTIONS),
            hint="write one of these there, or leave the column out and say --direction",
        )
    return cell


def _number(cell: str, name: str, where: str) -> float | None:
    return table_files.numbers([cell], name, where)[0] if cell else None
