"""`assay sweep`: several values of a few parameters, all of them against the baseline, judged as one family.

Every combination is an experiment, so that each can be accepted. Trying more values finds more luck: p is
adjusted by Holm over all of them. Not covered: running them (`commands.experiment_grid`), choosing values, which is a
search's business.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.commands import batch_size_rates, changes_without_effect, experiment_grid, grid_looks, recorded_comparison
from assay.commands.experiment_grid import Cell, Say, Wanted
from assay.core.errors import UsageError
from assay.core.metric_version import metric_name
from assay.core.params_yaml import Judge
from assay.core.paths import ProjectPaths
from assay.core.yaml12 import parse
from assay.history.replicates_csv import Row
from assay.runtime import project_root
from assay.stats import multiple_comparisons
from assay.stats.alpha_budget import Price
from assay.stats.arm_comparison import Comparison
from assay.stats.sequential_testing import look

LARGEST = 64
SAME = "same"


@dataclass(frozen=True)
class Tried:
    """One combination. `verdict` holds for the whole family, `alone` is its own comparison with the baseline.

    A combination that is the baseline itself is no member of the family: `same`, and no p.
    """

    settings: tuple[str, ...]
    experiment: str
    alone: Comparison
    p_holm: float | None
    verdict: str


@dataclass(frozen=True)
class Sweep:
    """All combinations in the order of their settings. `failed`: settings → why they did not run."""

    metric: str
    metric_version: str
    direction: str
    baseline: str
    tried: list[Tried]
    failed: dict[str, str]


def sweep(start: Path, settings: Sequence[str], say: Say, wanted: Wanted) -> Sweep:
    """Measure every combination of `settings` (key=value,value,…) on HEAD against the baseline.

    Raises UsageError for fewer than two or more than 64 combinations, for a value that is the baseline's own, for
    settings that change how cells are judged, and where none of them runs.
    """
    layout = project_root.find(start)
    experiment_grid.check_settings(layout, settings)
    cells = [experiment_grid.cell(layout, wanted, chosen) for chosen in combinations(settings)]
    for one in cells:
        asked = experiment_grid.asked(layout, one)
        experiment_grid.check_profile(asked, one.changes)
        recorded_comparison.check_rival(asked)
    for line in batch_size_rates.notes(layout, cells):
        say(line)
    return measured_and_judged(layout, changes_without_effect.ideas(layout, cells, say), say)


def measured_and_judged(
    layout: ProjectPaths, made: Sequence[Cell], say: Say, command: str = "sweep", others: int = 0
) -> Sweep:
    """Measure cells and judge them as one family. `others`: settings that were tried to choose these, on other seeds.

    They stand in the ledger, and count in no p: nothing of them is in these numbers.
    """
    found = dict(zip(made, experiment_grid.attempt(layout, made, say), strict=True))
    measured = {cell: rows for cell, rows in found.items() if not isinstance(rows, UsageError)}
    failed = {cell.label: rows.sentence for cell, rows in found.items() if isinstance(rows, UsageError)}
    if not measured:
        raise next(rows for rows in found.values() if isinstance(rows, UsageError))
    judge, ideas = (
        experiment_grid.judging(layout, list(measured)),
        [cell for cell, rows in measured.items() if not _same(rows)],
    )
    taken = grid_looks.ideas(
        layout.root,
        [(measured[one], experiment_grid.asked(layout, one)) for one in ideas],
        len(failed) + others,
        command,
    )
    fixed = experiment_grid.fixed(measured.values())
    return _judged(measured, failed, judge, dict(zip(ideas, taken, strict=True)), fixed)


def combinations(settings: Sequence[str]) -> list[tuple[str, ...]]:
    """Every way to give each key one of its values. Raises UsageError for a key or a value that is there twice."""
    keys = [setting.partition("=")[0] for setting in settings]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise UsageError(f"-S {twice} is given {keys.count(twice)} times", allowed=f"-S {twice}=VALUE,VALUE once")
    values = [listed(setting) for setting in settings]
    count = math.prod(map(len, values)) if settings else 0
    if not 2 <= count <= LARGEST:
        raise UsageError(
            f"{', '.join(settings) or 'nothing'} makes {count} different combinations",
            allowed=f"2 to {LARGEST}, e.g. -S lr=1e-3,3e-3,1e-2",
        )
    return list(itertools.product(*values))


def listed(setting: str) -> list[str]:
    """The settings that key=value,value stands for, each value once."""
    key, _, text = setting.partition("=")
    values = [value.strip() for value in text.split(",")]
    if not all(values) or set(text) & set("[]{}'\""):
        raise UsageError(f"-S {setting} is no list of values", allowed="numbers and words between commas")
    known: dict[str, str] = {}
    for value in values:
        known.setdefault(repr(parse(f"value: {value}")["value"]), f"{key}={value}")
    return list(known.values())


def _judged(
    measured: Mapping[Cell, list[Row]], failed: dict[str, str], judge: Judge, prices: Mapping[Cell, Price], fixed: bool
) -> Sweep:
    """Each idea is held against Holm's p at the level that its own account gives it."""
    found = list(measured.values())
    version = experiment_grid.version(found)
    metric = metric_name(version)
    names = {row["strategy"] for rows in found for row in rows if row["arm"] == "baseline"}
    if len(names) > 1:
        raise UsageError(f"the cells have the baselines {', '.join(sorted(names))}", hint="dvc exp remove the old")
    first = look(judge.alpha, 2).alpha  # for what is no idea, or has nothing left, an interval is shown nevertheless
    prices = {cell: prices.get(cell, Price(first, 0.0)) for cell in measured}
    levels = {cell: price.level or first for cell, price in prices.items()}

    def judged(cell: Cell, level: float) -> Comparison:
        return recorded_comparison.compared(measured[cell], metric, level, judge.test, prices[cell].hold, fixed)

    alone = {cell: judged(cell, levels[cell]) for cell in measured}
    family = [cell for cell, rows in measured.items() if not _same(rows)]
    # What failed was tried as well; what is held back shows nothing. Both count, and neither makes others look better.
    p = [1.0 if alone[cell].reason else alone[cell].p for cell in family] + [1.0] * len(failed)
    adjusted = dict(zip(family, multiple_comparisons.holm(p), strict=False))
    tried = []
    for cell in measured:
        strict = judged(cell, levels[cell] / max(1, len(p))).verdict
        word = (
            multiple_comparisons.decided(alone[cell].verdict, adjusted[cell], levels[cell], strict)
            if cell in adjusted
            else SAME
        )
        tried.append(Tried(cell.changes, cell.name, alone[cell], adjusted.get(cell), word))
    baseline = names.pop() if names else f"floor {recorded_comparison.best_floor(found[0], metric)[0]}"
    return Sweep(metric, version, found[0][0]["direction"], baseline, tried, failed)


def _same(rows: Sequence[Row]) -> bool:
    """Whether candidate and baseline are one strategy, whose difference can only be luck."""
    named = {row["arm"]: row["identity"] for row in rows}
    return named.get("baseline") == named["candidate"]
