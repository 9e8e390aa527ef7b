"""Settings that are kept in one profile, measured in the other: what `assay fidelity --measure` runs.

Each becomes an experiment of its own on the commit of the first, so the same command goes on where it was stopped. Not
covered: what pairs say (`commands.fidelity`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assay.commands import experiment_grid, measured_before, scratch_experiment
from assay.commands.scratch_experiment import Cell
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history.profile_groups import FULL, ProfileGroup
from assay.runtime import dvc_yaml, git
from assay.runtime.progress_line import duration

Say = Callable[[str], None]


def missing(
    layout: ProjectPaths,
    both: Mapping[str, object],
    single: Sequence[ProfileGroup],
    fast: str,
    most: int,
) -> list[Cell]:
    """Up to `most` cells (0: all), cheap ones first. Raises UsageError where nothing is kept in one profile alone."""
    ordered = sorted((one for one in single if one.base), key=lambda one: (one.profile != FULL, one.name))
    if not ordered:
        raise UsageError(
            f"no experiment is kept in one profile alone ({len(both)} settings in both)",
            allowed="experiments under today's metric version, baseline and profiles",
            hint="assay sweep -S lr=1e-3,3e-3,1e-2,3e-2",
        )
    return [_cell(layout.root, one, fast if one.profile == FULL else FULL) for one in ordered[: most or None]]


def _cell(root: Path, one: ProfileGroup, profile: str) -> Cell:
    tree = git.run(root, "rev-parse", f"{one.commit}^{{tree}}")
    name = f"{one.name}-{profile}"
    return Cell((f"{one.name} under {profile}",), one.base, (f"profile={profile}",), name, tree)


def price(layout: ProjectPaths, cells: Sequence[Cell], single: Sequence[ProfileGroup]) -> str:
    """Trainings and seconds of the candidates; the baseline's come on top once a profile."""
    counts = {one.name: len(one.values) for one in single}
    trainings = sum(counts[cell.label.rpartition(" under ")[0]] for cell in cells)
    line = f"price: {trainings} trainings of {len(cells)} settings"
    seconds, known = 0.0, True
    for profile in {cell.settings[0].partition("=")[2] for cell in cells}:
        under = params_yaml.resolved(dvc_yaml.parameters(layout.root), profile)
        one = measured_before.find(layout, [other.commit for other in single], under, "").seconds
        mine = [cell for cell in cells if cell.settings[0] == f"profile={profile}"]
        count = sum(counts[cell.label.rpartition(" under ")[0]] for cell in mine)
        known, seconds = known and one is not None, seconds + count * (one or 0.0)
    if not known:
        return f"{line} and {len(cells)} starts of DVC; how long one takes is not known yet"
    return f"{line}, {duration(seconds)}, and {len(cells)} starts of DVC"


def measure(layout: ProjectPaths, cells: Sequence[Cell], say: Say) -> None:
    """Run each cell. What does not run is named, and the others go on."""
    scratch_experiment.tidy(layout)

    def run(one: Cell) -> None:
        say(f"running {one.label}")
        try:
            scratch_experiment.measure(layout, one)
        except UsageError as error:
            say(f"left out: {one.label}: {error.sentence}")

    with ThreadPoolExecutor(experiment_grid.room(layout)) as pool:
        list(pool.map(run, cells))
