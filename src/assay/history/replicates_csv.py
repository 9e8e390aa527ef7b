"""Rows of a recorded results/replicates.csv: the replicates of one arm, those with the same predictions once.

Covers: tables that `evaluate` wrote. Not covered: tables of other tools (`commands.compare_sides`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from assay.history.replicates_rows import SAME_AS as SAME_AS
from assay.history.replicates_rows import Row as Row
from assay.history.replicates_rows import count as count
from assay.history.replicates_rows import first as first
from assay.history.replicates_rows import rows as rows
from assay.history.replicates_rows import worst as worst
from assay.stats.compare_arms import MeasuredArm


def arm(rows: Iterable[Mapping[str, str]], name: str, metric: str, key: str = "replicate") -> MeasuredArm:
    """The metric of each replicate of one arm. `key`: the column that pairs it with one of the other arm.

    Raises KeyError, ValueError for a table that `evaluate` did not write.
    """
    return MeasuredArm(
        [(row[key], float(row[metric]) if row["status"] == "ok" else None) for row in rows if row["arm"] == name]
    )


def mean(rows: Iterable[Row], metric: str) -> float | None:
    """The mean over the candidate's replicates, diverged ones as the worst value; None where there is none."""
    listed = list(rows)
    placed = [worst(listed[0]) if value is None else value for _, value in arm(listed, "candidate", metric).replicates]
    values = [value for value in placed if value is not None]
    return statistics.fmean(values) if values and len(values) == len(placed) else None
