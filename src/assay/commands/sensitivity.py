"""`assay sensitivity`: which parameters matter here, which do not, and where to tune them.

HEAD is the centre; each parameter goes a step down and a step up by itself, on the same seeds. Not covered: which steps
(`commands.sensitivity_factors`), the statistics (`stats.one_factor`), running cells (`commands.experiment_grid`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands import (
    batch_size_rates,
    experiment_grid,
    grid_price,
    measured_design,
    recorded_comparison,
    sensitivity_factors,
)
from assay.commands.batch_size_rates import BatchSizeRates
from assay.commands.experiment_grid import Cell, Say, Wanted
from assay.commands.sensitivity_factors import FactorPlan
from assay.core import variation
from assay.core.paths import ProjectPaths
from assay.history import replicates_csv
from assay.report.sensitivity_text import written
from assay.runtime import project_root
from assay.stats import one_factor
from assay.stats.learning_rate_as_nuisance import PairedRule
from assay.stats.one_factor import Factor, LevelKey

#: how the ledger calls it: command, account, test
CALLED = ("sensitivity", "sensitivity", "one factor")


@dataclass(frozen=True)
class Sensitivity:
    """Parameters in order of their effect. `left`: parameter → why it was not varied; `failed`: setting → why it did
    not run."""

    metric: str
    metric_version: str
    direction: str
    min_effect: float
    alpha: float
    n: int  # seeds
    factors: list[Factor]
    left: dict[str, str]
    failed: dict[str, str]


@dataclass(frozen=True)
class _OneFactorDesign:
    layout: ProjectPaths
    plan: FactorPlan
    centre: Cell
    levels: dict[LevelKey, Cell]
    rates: BatchSizeRates

    @property
    def cells(self) -> list[Cell]:
        return list(dict.fromkeys([self.centre, *self.levels.values(), *self.rates.cells]))


def sensitivity(
    start: Path, named: Sequence[str], say: Say, wanted: Wanted, dry_run: bool = False
) -> Sensitivity | None:
    """Measure each parameter a step down and up around HEAD; `named`: KEY or KEY=VALUE,VALUE, none for all numbers.

    With `dry_run` only the price is said. Raises UsageError for what cannot be varied, and where the centre does not
    run; IncomparableError where earlier looks at the same design have spent alpha.
    """
    design = _designed(project_root.find(start), named, wanted)
    for key, values in design.plan.levels.items():
        around = ", ".join(map(written, values))
        say(f"{key}: {written(design.plan.centre[key])} against {around}{design.rates.told(key)}")
    for key, why in design.plan.left.items():
        say(f"not varied: {key}, as {why}")
    asked = experiment_grid.asked(design.layout, design.centre)
    recorded_comparison.check_rival(asked)
    say(grid_price.line(design.layout, design.cells, asked))
    return None if dry_run else _measured(design, say)


def _designed(layout: ProjectPaths, named: Sequence[str], wanted: Wanted) -> _OneFactorDesign:
    centre = experiment_grid.cell(layout, wanted, ())
    vary = experiment_grid.asked(layout, centre).vary
    variation.refuse_splits(vary, "assay sensitivity", "has no test of parameters over splits that overlap")
    plan = sensitivity_factors.plan(experiment_grid.asked(layout, centre), named)
    levels = {(key, value): experiment_grid.cell(layout, wanted, (setting,)) for key, value, setting in plan.settings}
    experiment_grid.check_settings(layout, [setting for *_, setting in plan.settings])
    for one in levels.values():
        experiment_grid.asked(layout, one)  # a value that no run would take is refused before the first one
    rates = batch_size_rates.design(layout, wanted, experiment_grid.asked(layout, centre), (centre, levels))
    return _OneFactorDesign(layout, plan, centre, levels, rates)


def _measured(design: _OneFactorDesign, say: Say) -> Sensitivity:
    others = [*design.levels.values(), *design.rates.cells]
    found = measured_design.measured(design.layout, design.centre, others, CALLED, say)
    first, arms = found.first, found.arms
    rule = PairedRule(
        first["direction"],
        found.alpha,
        float(first["min_effect"]),
        replicates_csv.worst(first),
        replicates_csv.SAME_AS in first,
    )
    factors = one_factor.one_factor(
        arms[design.centre],
        {key: arms.get(one) for key, one in design.levels.items()},
        design.plan.centre,
        first["direction"],
        alpha=rule.alpha,
        min_effect=rule.min_effect,
        worst=rule.worst,
        distinct=rule.distinct,
        beside=design.rates.judged(arms, rule),
    )
    return Sensitivity(
        metric=found.metric,
        metric_version=found.metric_version,
        direction=first["direction"],
        min_effect=rule.min_effect,
        alpha=found.alpha,
        n=found.n,
        factors=factors,
        left=dict(design.plan.left),
        failed=found.failed,
    )
