"""Rows of a recorded results/replicates.csv as text, those of replicates with the same predictions once.

Stages that always run read them, so nothing here imports NumPy. Not covered: rows as numbers
(`history.replicates_csv`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

#: column that names an earlier replicate with the same predictions
SAME_AS = "same_as"
#: column that says how much the splits of replicates overlap
OVERLAP = "split_overlap"
#: column that names the class of machine which trained a replicate, where classes are blocks
BLOCK = "machine_class"
Row = dict[str, str]


def rows(content: bytes) -> list[Row]:
    """All rows but those of replicates that are an earlier one again."""
    return [row for row in csv.DictReader(io.StringIO(content.decode())) if not row.get(SAME_AS)]


def first(content: bytes, n: int) -> list[Row]:
    """The rows of the first n replicates of each measured arm, and all floors; without those that are one again."""
    kept, count = [], dict[str, int]()
    for row in csv.DictReader(io.StringIO(content.decode())):
        count[row["arm"]] = count.get(row["arm"], 0) + 1
        if row["arm"] == "floor" or count[row["arm"]] <= n:
            kept.append(row)
    return [row for row in kept if not row.get(SAME_AS)]


def count(content: bytes) -> int:
    """How many replicates of the candidate were trained."""
    return sum(row["arm"] == "candidate" for row in csv.DictReader(io.StringIO(content.decode())))


def overlap(row: Mapping[str, str]) -> float | None:
    """Validation over training examples of a split, where each replicate has one; None anywhere else."""
    return float(text) if (text := row.get(OVERLAP)) else None


def worst(row: Mapping[str, str]) -> float | None:
    """What a diverged replicate counts as; None where the metric names no worst value, or the table is an older one."""
    return float(text) if (text := row.get("worst")) else None
