"""What a grid of cells will cost, said before anything trains.

Covers: cells that are not measured yet, trainings, seconds by what earlier runs took. Not covered: running them
(`commands.experiment_grid`).
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.baseline import accepted_strategy
from assay.commands import experiment_grid, measured_before
from assay.commands.experiment_grid import Cell
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import REPLICATES, ProjectPaths
from assay.runtime import dvc_yaml, git
from assay.runtime.progress_line import duration


def line(layout: ProjectPaths, cells: Sequence[Cell], asked: Params) -> str:
    """The price of `cells`; `asked` are the parameters of what they are grouped around.

    A setting of the epochs counts as so many times longer; others are taken to train as long as earlier runs did.
    """
    missing = [one for one in cells if git.read(layout.root, one.ref, REPLICATES) is None]
    at_hand = len(cells) - len(missing)
    if not missing:
        return f"price: nothing, all {at_hand} settings are measured"
    baseline = accepted_strategy.resolve(dvc_yaml.current(layout.root), asked.baseline)
    known = measured_before.find(layout, [], asked, baseline.commit)
    params = [_params(layout, one) for one in missing]
    trainings = sum(one.replicates for one in params if one)
    against = max(0, max((one.replicates for one in params if one), default=0) - known.baseline)
    against = against if baseline.commit else 0
    counts = f"price: {trainings} trainings of {len(missing)} settings"
    counts += f" and {against} of the baseline" if against else ""
    counts += f" ({at_hand} measured already)" if at_hand else ""
    if known.seconds is None:
        return f"{counts}; how long one takes is not known yet"
    whole = sum(one.replicates * _longer(one, asked) for one in params if one) + against
    cost = f"measured at {known.seconds:.2g} s each: {duration(known.seconds * whole)}"
    return f"{counts}, {cost}, and {len(missing)} starts of DVC"


def _params(layout: ProjectPaths, one: Cell) -> Params | None:
    try:
        return experiment_grid.asked(layout, one)
    except UsageError:
        return None  # its run will say what is wrong, and trains nothing


def _longer(one: Params, asked: Params) -> float:
    return 1.0 if one.is_script else one.train.epochs / asked.train.epochs
