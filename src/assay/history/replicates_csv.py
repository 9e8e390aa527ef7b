"""Rows of a recorded results/replicates.csv: the replicates of one arm, those with the same predictions once.

Covers: tables that `evaluate` wrote. Not covered: tables of other tools (`commands.compare_sides`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from assay.history.replicates_rows import BLOCK as BLOCK
from assay.history.replicates_rows import SAME_AS as SAME_AS
from assay.history.replicates_rows import Row as Row
from assay.history.replicates_rows import count as count
from assay.history.replicates_rows import first as first
from assay.history.replicates_rows import overlap as overlap
from assay.history.replicates_rows import rows as rows
from assay.history.replicates_rows import worst as worst
from assay.stats.compare_arms import Key, MeasuredArm


def arm(rows: Iterable[Mapping[str, str]], name: str, metric: str, key: str = "replicate") -> MeasuredArm:
    """The metric of each replicate of one arm. `key`: the column that pairs it with one of the other arm.

    Raises KeyError, ValueError for a table that `evaluate` did not write.
    """
    return _measured([row for row in rows if row["arm"] == name], metric, key)


def floors(rows: Iterable[Mapping[str, str]], metric: str) -> dict[str, float | MeasuredArm]:
    """Each floor that has the metric: one value, or one a split where each replicate has one."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["arm"] == "floor" and row.get(metric):
            found.setdefault(row["strategy"], []).append(row)
    return {
        name: _measured(own, metric, "replicate") if own[0].get("replicate") else float(own[0][metric])
        for name, own in found.items()
    }


def mean(floor: float | MeasuredArm) -> float:
    """A floor's value, the mean over splits."""
    return sum(floor.values) / len(floor.values) if isinstance(floor, MeasuredArm) else floor


def _measured(rows: Sequence[Mapping[str, str]], metric: str, key: str) -> MeasuredArm:
    each = [(row[key], float(row[metric]) if row["status"] == "ok" else None) for row in rows]
    blocks: dict[Key, str] = {row[key]: row[BLOCK] for row in rows if row.get(BLOCK)}
    return MeasuredArm(each, overlap(rows[0]) if rows else None, blocks or None)


def candidate_mean(rows: Sequence[Row], metric: str) -> float | None:
    """The mean over the candidate's replicates, diverged ones as the worst value; None where there is none."""
    placed = [worst(rows[0]) if value is None else value for _, value in arm(rows, "candidate", metric).replicates]
    values = [value for value in placed if value is not None]
    return statistics.fmean(values) if values and len(values) == len(placed) else None
