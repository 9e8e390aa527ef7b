"""Rows of a recorded results/replicates.csv: the replicates of one arm, those with the same predictions once.

Covers: tables that `evaluate` wrote. Not covered: tables of other tools (`commands.compare_sides`).
"""

from __future__ import annotations

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
