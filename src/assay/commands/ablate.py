"""`assay ablate`: which of several changes brings the gain, each alone and all combinations.

Every cell is an experiment on the same seeds: a blocked design. Not covered: running them (`commands.experiment_grid`),
effects (`commands.ablation_effects`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from assay.commands import ablation_effects, changes_without_effect, experiment_grid, grid_looks
from assay.commands.ablation_effects import Ablation
from assay.commands.experiment_grid import Say, Wanted
from assay.core import variation
from assay.core.errors import IncomparableError, UsageError
from assay.runtime import project_root


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
    return ablation_effects.judged(found, experiment_grid.version(list(found.values())), price.level)
