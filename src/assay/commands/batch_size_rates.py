"""Learning rates beside each batch size of `assay sensitivity`: what theory expects, each one a cell.

The centre is measured at all of these rates, too: else a batch size could win by its rate alone. Not covered: the test
(`stats.learning_rate_as_nuisance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assay.commands import experiment_grid
from assay.commands.experiment_grid import Cell, Wanted
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.runtime import dvc_yaml
from assay.stats import learning_rate_as_nuisance
from assay.stats.compare_arms import MeasuredArm
from assay.stats.learning_rate_as_nuisance import BestOfRates, PairedRule
from assay.stats.one_factor import LevelKey

KEY = "train.batch_size"


@dataclass(frozen=True)
class BatchSizeRates:
    """Learning rate → cell, for the centre and for each batch size; empty where batch size is not varied."""

    centre: Mapping[float, Cell] = field(default_factory=dict)
    levels: Mapping[LevelKey, Mapping[float, Cell]] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cell]:
        return [*self.centre.values(), *(one for cells in self.levels.values() for one in cells.values())]

    def told(self, key: str) -> str:
        """The rates, behind the values of the parameter `key`."""
        if key != KEY or not self.levels:
            return ""
        parts = [f"{value} at lr {_listed(cells)}" for (_, value), cells in self.levels.items()]
        return f" ({', '.join(parts)}; HEAD at {_listed(self.centre)})"

    def judged(self, arms: Mapping[Cell, MeasuredArm], rule: PairedRule) -> dict[LevelKey, BestOfRates]:
        """Each batch size over all rates that ran; one without any is left to its own comparison."""
        centre = {rate: arms[one] for rate, one in self.centre.items() if one in arms}
        found = {}
        for key, cells in self.levels.items():
            own = {rate: arms[one] for rate, one in cells.items() if one in arms}
            if (best := learning_rate_as_nuisance.best_of_rates(centre, own, rule)) is not None:
                found[key] = best
        return found


def design(
    layout: ProjectPaths,
    wanted: Wanted,
    asked: Params,
    cells: tuple[Cell, Mapping[LevelKey, Cell]],
) -> BatchSizeRates:
    """Cells for every batch size of `plan`, and the centre's; `cells`: the centre and all values, at HEAD's rate.

    None where the profile sets lr: whatever a setting says, it would stay.
    """
    centre, levels = cells
    mine = {key: one for key, one in levels.items() if key[0] == KEY}
    pinned = "lr" in dict(params_yaml.leaves(asked.profiles[asked.profile]))
    if not mine or pinned or asked.is_script:
        return BatchSizeRates()
    made: dict[LevelKey, dict[float, Cell]] = {}
    for key, one in mine.items():
        ratio = float(str(key[1])) / asked.train.batch_size
        own = learning_rate_as_nuisance.rates(asked.lr, ratio)
        made[key] = {rate: _at(layout, wanted, one, rate, asked.lr) for rate in own}
    every = dict.fromkeys([asked.lr, *(rate for own in made.values() for rate in own)])
    return BatchSizeRates({rate: _at(layout, wanted, centre, rate, asked.lr) for rate in every}, made)


def note(before: Params, after: Params) -> str:
    """What theory expects of the rate where the batch size changes and the rate does not; "" anywhere else."""
    old, new = before.train.batch_size, after.train.batch_size
    if before.is_script or after.is_script or old == new or before.lr != after.lr:
        return ""
    expected = learning_rate_as_nuisance.expected(before.lr, new / old, after.train.optimizer)
    return (
        f"{KEY} {old} → {new} at the same lr {after.lr:g}: theory expects {expected}; nothing is rescaled, "
        "assay tune lr=… judges both at their best rate"
    )


def params_at(layout: ProjectPaths, commit: str, profile: str) -> Params | None:
    """What `commit` trains with under `profile`; None where it has no such profile, or no parameters of today."""
    content = dvc_yaml.parameters_at(layout.root, commit) if commit else None
    try:
        return params_yaml.resolved(content, profile) if content else None
    except UsageError:
        return None


def note_since(layout: ProjectPaths, commit: str, asked: Params) -> str:
    """The note of `asked` against `commit`."""
    before = params_at(layout, commit, asked.profile)
    return note(before, asked) if before else ""


def notes(layout: ProjectPaths, cells: Sequence[Cell]) -> list[str]:
    """The notes of all cells against HEAD, each once."""
    before = params_yaml.resolved(dvc_yaml.parameters_at(layout.root, "HEAD") or b"")
    found = (note(before, experiment_grid.asked(layout, one)) for one in cells)
    return list(dict.fromkeys(filter(None, found)))


def _at(layout: ProjectPaths, wanted: Wanted, one: Cell, rate: float, now: float) -> Cell:
    """The same cell at another rate."""
    return one if rate == now else experiment_grid.cell(layout, wanted, (*one.changes, f"lr={rate:g}"))


def _listed(cells: Mapping[float, Cell]) -> str:
    return "/".join(f"{rate:g}" for rate in sorted(cells))
