"""`assay sensitivity --settings N`: which parameters explain the metric over N settings that vary all of them at once.

Settings are points of one Sobol sequence over ranges around HEAD, each an experiment, so the same command goes on where
it was stopped. Not covered: one parameter at a time (`commands.sensitivity`), the statistics
(`stats.parameter_importance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands import experiment_grid, grid_price, measured_design, recorded_comparison, sensitivity_factors
from assay.commands.experiment_grid import Cell, Say, Wanted
from assay.commands.sensitivity_factors import FactorPlan
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history import replicates_csv
from assay.history.replicates_csv import Row
from assay.report.sensitivity_text import written
from assay.runtime import project_root
from assay.stats import one_factor, parameter_importance, quasi_random_settings
from assay.stats.parameter_importance import FEWEST, Importances
from assay.stats.quasi_random_settings import ValueRange

#: settings at most: a start of DVC each
LARGEST = 512
#: replicates of a setting where nobody says: many settings tell more than many replicates
REPLICATES = 2
#: at 0 there is none of it, and close to 0 there is most of it: no range begins there
SWITCHED_OFF_BY_ZERO = ("train.clip",)
#: how the ledger calls it: command, account, test
CALLED = ("sensitivity", "importance", "importance")


@dataclass(frozen=True)
class SettingsImportance:
    """`best`: parameter → the values that the better quarter of the settings has, low and high, or words."""

    metric: str
    metric_version: str
    direction: str
    n: int  # replicates of each setting
    found: Importances
    best: dict[str, tuple[object, ...]]
    better: float  # share of settings that end above HEAD
    left: dict[str, str]
    failed: dict[str, str]


@dataclass(frozen=True)
class _SettingsDesign:
    layout: ProjectPaths
    plan: FactorPlan
    ranges: list[ValueRange]
    centre: Cell
    cells: dict[Cell, dict[str, object]]

    @property
    def all(self) -> list[Cell]:
        return [self.centre, *self.cells]


def importance(
    start: Path, named: Sequence[str], count: int, say: Say, wanted: Wanted, dry_run: bool = False
) -> SettingsImportance | None:
    """Measure HEAD and `count` settings around it. `named`: KEY or KEY=LOW,HIGH or KEY=WORD,WORD; none for all numbers.

    With `dry_run` only ranges and price are said. Raises UsageError for fewer than 50 settings, for ranges that hold
    fewer, for a metric without spread; IncomparableError where earlier looks at the same design have spent alpha.
    """
    if not FEWEST <= count <= LARGEST:
        raise UsageError(
            f"importance from {count} settings", allowed=f"{FEWEST} to {LARGEST}", hint="assay sensitivity, without it"
        )
    design = _designed(project_root.find(start), named, count, wanted)
    for one in design.ranges:
        scale = " (log)" if one.logarithmic else ""
        around = ", ".join(map(written, one.words)) or f"{written(one.value(0))} to {written(one.value(1))}{scale}"
        say(f"{one.key}: {around}")
    for key, why in design.plan.left.items():
        say(f"not varied: {key}, as {why}")
    asked = experiment_grid.asked(design.layout, design.centre)
    recorded_comparison.check_rival(asked)
    say(grid_price.line(design.layout, design.all, asked))
    return None if dry_run else _measured(design, say)


def _designed(layout: ProjectPaths, named: Sequence[str], count: int, wanted: Wanted) -> _SettingsDesign:
    wanted = Wanted(wanted.name, wanted.replicates or REPLICATES)
    centre = experiment_grid.cell(layout, wanted, ())
    asked = experiment_grid.asked(layout, centre)
    plan = sensitivity_factors.plan(asked, named)
    given = {name.partition("=")[0] for name in named if "=" in name}
    ranges = [_range(key, values, plan.centre[key], key in given) for key, values in plan.levels.items()]
    drawn = quasi_random_settings.settings(ranges, count, asked.seed)
    if len(drawn) < FEWEST:
        held = ", ".join(plan.levels)
        raise UsageError(
            f"the ranges of {held} hold {len(drawn)} different settings",
            allowed=f"{FEWEST} or more",
            hint="assay sensitivity without --settings, or wider ranges: KEY=LOW,HIGH",
        )
    cells = {}
    for setting in drawn:
        changes = tuple(f"{key}={written(value)}" for key, value in setting.items())
        cells[experiment_grid.cell(layout, wanted, changes)] = setting
    experiment_grid.check_settings(layout, [change for one in cells for change in one.changes])
    ends = [f"{one.key}={written(one.value(unit))}" for one in ranges if not one.words for unit in (0.0, 1.0)]
    for one in (*cells, *(experiment_grid.cell(layout, wanted, (end,)) for end in ends)):
        experiment_grid.asked(layout, one)  # a setting that no run would take is refused before the first one
    return _SettingsDesign(layout, plan, ranges, centre, cells)


def _range(key: str, values: Sequence[object], centre: object, given: bool) -> ValueRange:
    """From the lowest to the highest of `values` and the centre; where nobody named them, one step farther."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (*values, centre))
    if not numbers or (key in SWITCHED_OFF_BY_ZERO and centre == 0 and not given):
        return ValueRange(key, words=tuple(dict.fromkeys((centre, *values))))
    far = [] if given else [one_factor.beyond(one, centre) for one in values]
    ends = [float(one) for one in (centre, *values, *far)]  # type: ignore[arg-type]
    whole = all(isinstance(one, int) for one in (*values, centre))
    return ValueRange(key, min(ends), max(ends), whole)


def _measured(design: _SettingsDesign, say: Say) -> SettingsImportance:
    cells = list(design.cells)
    made = measured_design.measured(design.layout, design.centre, cells, CALLED, say)
    toward = 1.0 if made.first["direction"] == "maximize" else -1.0
    scores = {one: _score(made.rows.get(one), made.metric, toward) for one in design.all}
    numbers = [one for one in design.ranges if not one.words]
    importances = parameter_importance.importance(
        {one.key: [one.unit(float(design.cells[cell][one.key])) for cell in cells] for one in numbers},  # type: ignore[arg-type]
        {one.key: [design.cells[cell][one.key] for cell in cells] for one in design.ranges if one.words},
        [scores[cell] for cell in cells],
        alpha=made.alpha,
        seed=made.seed,
    )
    here = scores[design.centre]
    above = [cell for cell in cells if (score := scores[cell]) is not None and (here is None or score > here)]
    return SettingsImportance(
        metric=made.metric,
        metric_version=made.metric_version,
        direction=made.first["direction"],
        n=made.n,
        found=importances,
        best=_best(design, scores),
        better=len(above) / len(cells),
        left=dict(design.plan.left),
        failed=made.failed,
    )


def _score(rows: list[Row] | None, metric: str, toward: float) -> float | None:
    """Larger is better; None where it did not run, or one diverged without a worst value."""
    value = None if rows is None else replicates_csv.candidate_mean(rows, metric)
    return None if value is None else toward * value


def _best(design: _SettingsDesign, scores: Mapping[Cell, float | None]) -> dict[str, tuple[object, ...]]:
    """What the better quarter has: the tenth and the ninetieth percentile of numbers, words in order of how often."""
    finished = sorted(
        (cell for cell in design.cells if scores[cell] is not None), key=lambda cell: -(scores[cell] or 0.0)
    )
    quarter = [design.cells[cell] for cell in finished[: max(4, len(finished) // 4)]]
    found: dict[str, tuple[object, ...]] = {}
    for one in design.ranges:
        values = [setting[one.key] for setting in quarter]
        if one.words:
            found[one.key] = tuple(sorted(set(values), key=lambda value: (-values.count(value), repr(value))))
        else:
            ordered = sorted(values, key=float)  # type: ignore[arg-type]
            cut = len(ordered) // 10
            found[one.key] = (ordered[cut], ordered[-1 - cut])
    return found
