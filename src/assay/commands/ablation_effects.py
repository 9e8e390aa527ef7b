"""The effects of an ablation from the tables of its cells: just measured, or found again for a report.

Not covered: measuring cells (`commands.ablate`), the statistics (`stats.factorial_design`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.core.metric_version import metric_name
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.stats.compare_arms import Key
from assay.stats.factorial_design import Factorial, factorial


@dataclass(frozen=True)
class Ablation:
    """Values of every cell on the seeds that count in all of them, and what they say."""

    metric: str
    metric_version: str
    cells: dict[tuple[str, ...], list[float]]
    lost: int  # seeds that diverged in some cell and count as nothing
    result: Factorial


def judged(found: Mapping[tuple[str, ...], Sequence[Row]], version: str, alpha: float) -> Ablation:
    """What the candidate's rows of every cell say, by the changes in it. Raises UsageError as `factorial` does."""
    metric = metric_name(version)
    counted = {changes: _values(rows, metric) for changes, rows in found.items()}
    common = set.intersection(*map(set, counted.values()))
    every = {row["replicate"] for rows in found.values() for row in rows}
    values = {changes: [value for seed, value in each.items() if seed in common] for changes, each in counted.items()}
    first = next(row for rows in found.values() for row in rows)
    groups: dict[Sequence[str] | frozenset[str], Sequence[float]] = {
        frozenset(changes): each for changes, each in values.items()
    }
    result = factorial(
        groups,
        first["direction"],
        blocked=True,
        alpha=alpha,
        min_effect=float(first["min_effect"]),
        distinct=replicates_csv.SAME_AS in first,
    )
    return Ablation(metric, version, values, len(every - common), result)


def _values(rows: Sequence[Row], metric: str) -> Mapping[Key, float]:
    """Replicate → value; a diverged one is the metric's worst value, or left out where none is named."""
    worst = rows[0].get("worst")
    return replicates_csv.arm(rows, "candidate", metric).placed(float(worst) if worst else None)
