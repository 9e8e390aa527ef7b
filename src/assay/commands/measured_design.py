"""A centre and cells around it, measured and looked at once: what sensitivity and ablation of what was accepted share.

Covers: running the cells, those that do not run, one metric version and one way of judging for all, the price of the
look. Not covered: what the numbers say (`stats.one_factor`, `stats.parameter_importance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.commands import experiment_grid, grid_looks
from assay.commands.experiment_grid import Cell, Say
from assay.core.errors import IncomparableError, UsageError
from assay.core.metric_version import metric_name
from assay.core.paths import ProjectPaths
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.stats.compare_arms import MeasuredArm


@dataclass(frozen=True)
class MeasuredDesign:
    """`rows`: cell → its table, the centre first, without those that do not run; `failed`: label of such a cell → why.

    `alpha`: the level of the look. `seed`: that of params.yaml.
    """

    metric: str
    metric_version: str
    alpha: float
    seed: int
    centre: Cell
    rows: dict[Cell, list[Row]]
    failed: dict[str, str]

    @property
    def first(self) -> Row:
        """A row of the centre: what is said of the metric is the same in all."""
        return self.rows[self.centre][0]

    @property
    def n(self) -> int:
        """Replicates of the candidate in the centre."""
        return sum(row["arm"] == "candidate" for row in self.rows[self.centre])

    @property
    def arms(self) -> dict[Cell, MeasuredArm]:
        """The candidate of each cell that ran."""
        return {one: replicates_csv.arm(rows, "candidate", self.metric) for one, rows in self.rows.items()}


def measured(
    layout: ProjectPaths, centre: Cell, others: Sequence[Cell], called: tuple[str, str, str], say: Say
) -> MeasuredDesign:
    """Run what is not measured yet. `called`: command, account and test of the look, as the ledger has them.

    Raises UsageError where the centre does not run; IncomparableError where earlier looks have spent alpha.
    """
    cells = list(dict.fromkeys([centre, *others]))
    found = dict(zip(cells, experiment_grid.attempt(layout, cells, say), strict=True))
    failure = found[centre]
    if isinstance(failure, UsageError):
        raise failure
    rows = {one: table for one, table in found.items() if not isinstance(table, UsageError)}
    judge = experiment_grid.judging(layout, list(rows))
    candidates = {one.changes: [row for row in table if row["arm"] == "candidate"] for one, table in rows.items()}
    asked = experiment_grid.asked(layout, centre)
    price = grid_looks.design(layout.root, candidates, asked, called)
    if price.hold:
        raise IncomparableError(
            f"nothing can be shown: {price.hold}", allowed="another baseline, or other changes", hint="assay log --all"
        )
    version = experiment_grid.version(list(rows.values()))
    return MeasuredDesign(
        metric=metric_name(version),
        metric_version=version,
        alpha=price.level or judge.alpha,
        seed=asked.seed,
        centre=centre,
        rows=rows,
        failed={one.label: error.sentence for one, error in found.items() if isinstance(error, UsageError)},
    )
