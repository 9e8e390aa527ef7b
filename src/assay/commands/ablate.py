"""`assay ablate`: which of several changes brings the gain, each alone and all combinations.

Every cell is an experiment on the same seeds: a blocked design. Not covered: running them (`commands.experiment_grid`),
the statistics (`stats.factorial_design`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands import changes_without_effect, experiment_grid, grid_looks
from assay.commands.experiment_grid import Say, Wanted
from assay.core import variation
from assay.core.errors import IncomparableError, UsageError
from assay.core.metric_version import metric_name
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.runtime import project_root
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


def ablate(start: Path, settings: Sequence[str], branches: Sequence[str], say: Say, wanted: Wanted) -> Ablation:
    """Measure all combinations of `settings` (key=value) and `branches` on HEAD; their effects.

    Raises UsageError for fewer than two or more than three changes, for one that changes nothing, and for a cell that
    does not run; IncomparableError where earlier draws of the same cells have spent alpha.
    """
    layout = project_root.find(start)
    changes = [*settings, *branches]
    if not 2 <= len(set(changes)) == len(changes) <= 3:
        raise UsageError(f"the changes are {', '.join(changes) or 'none'}", allowed="two or three different ones")
    experiment_grid.check_settings(layout, settings)
    subsets = [subset for size in range(len(changes) + 1) for subset in itertools.combinations(changes, size)]
    made = [experiment_grid.cell(layout, wanted, subset, frozenset(branches)) for subset in subsets]
    vary = experiment_grid.asked(layout, made[0]).vary
    variation.refuse_splits(vary, "assay ablate", "has no test of effects and interactions over splits that overlap")
    changes_without_effect.check_parts(layout, made[0], made[1 : 1 + len(changes)])
    measured = experiment_grid.measure(layout, made, say)
    candidates = [[row for row in rows if row["arm"] == "candidate"] for rows in measured]
    experiment_grid.judging(layout, made)
    found = {one.changes: rows for one, rows in zip(made, candidates, strict=True)}
    price = grid_looks.ablation(layout.root, found, experiment_grid.asked(layout, made[0]))
    if price.hold:
        raise IncomparableError(
            f"nothing can be shown: {price.hold}", allowed="another baseline, or other changes", hint="assay log --all"
        )
    return _judged(found, price.level)


def _judged(found: dict[tuple[str, ...], list[Row]], alpha: float) -> Ablation:
    version = experiment_grid.version(list(found.values()))
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
