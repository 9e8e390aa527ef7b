"""What a comparison of two records says about new examples, from the predictions that DVC's cache still holds.

Covers: finding the predictions behind both sides, refusing those that today's ruler did not score. Not covered:
the interval itself (`stats.variance_components`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.commands import check_evaluation_setup
from assay.commands.check_evaluation_setup import Today
from assay.core.errors import IncomparableError, UsageError
from assay.core.paths import LOCK
from assay.history import cached_predictions
from assay.history.cached_predictions import NotAtHandError
from assay.runtime import dvc_cache_dir, git, project_root
from assay.stats import variance_components
from assay.stats.difference_estimate import Array
from assay.stats.variance_components import NewExamples


@dataclass(frozen=True)
class Side:
    """One side: the commit whose dvc.lock knows its predictions, and whose they are in it.

    `arm`: candidate, baseline, or the name of a floor; `values`: what the record says that they score.
    """

    name: str
    commit: str
    arm: str
    values: Sequence[float]
    diverged: int = 0


def new_examples(
    root: Path, sides: tuple[Side, Side], version: str, today: Today | None, *, paired: bool
) -> NewExamples | None:
    """Candidate minus baseline for new examples; None where the metric is no mean over examples.

    Without `today`, the ruler as it was loaded on request, its code is run only where it ran before. Raises AssayError
    where that cannot be said: another ruler than today's, or predictions not at hand.
    """
    today = today or check_evaluation_setup.load(project_root.find(root), only_known=True)
    if today.version != version:
        raise IncomparableError(f"they were measured under {version}, and today's metric version is {today.version}")
    if today.ruler.metric.per_example is None:
        return None
    cache = dvc_cache_dir.folder(root)
    before, after = (_scores(root, cache, side, today) for side in sides)
    for side, scores in zip(sides, (before, after), strict=True):
        means = np.atleast_2d(scores).mean(axis=1)
        if len(means) != len(side.values) or not np.allclose(means, side.values, rtol=0, atol=1e-9):
            return None  # per_example explains the metric, but is not what it averages
    return variance_components.new_examples(before, after, paired=paired and before.shape == after.shape)


def _scores(root: Path, cache: Path, side: Side, today: Today) -> Array:
    """(R, N) scores of single examples, (N,) for a floor."""
    lock = git.read(root, side.commit, LOCK) or b""
    try:
        if side.arm not in ("candidate", "baseline"):
            return today.each_example(*cached_predictions.floor(cache, lock, side.arm), f"floor {side.arm}")
        found = cached_predictions.read(cache, lock, side.arm)
    except NotAtHandError as error:
        hint = "dvc exp pull origin NAME for an experiment, else dvc fetch --all-commits"
        raise NotAtHandError(f"{side.name}: {error.problem}", hint=hint) from error
    if found is None:
        raise UsageError(f"{side.name} records no predictions", hint="dvc exp run")
    return today.examples(found)
