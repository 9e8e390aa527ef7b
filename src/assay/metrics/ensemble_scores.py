"""Scores of the mean prediction of an arm's replicates, which are trained already: one number an arm.

Covers: class probabilities and values. Not covered: predictions of which a mean says nothing (classes by number, what
`score` of a task keeps), and a test: there is one ensemble an arm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.metrics.scored_arm import Ruler

Array = NDArray[Any]
#: how far the probabilities of one example may be from 1
_ROUNDING = 1e-3


def rows(
    ruler: Ruler, classes: Sequence[str], arms: Mapping[str, Sequence[Array]], *, keeps_scores: bool = False
) -> Iterator[list[object]]:
    """A row of results/slices.csv for each metric. `arms`: predictions (N, …) of each replicate that counts."""
    found = {
        arm: _scores(ruler, np.mean(np.stack(each), axis=0), arm)
        for arm, each in arms.items()
        if each and not keeps_scores and _have_a_mean(ruler, classes, np.stack(each))
    }
    candidate, baseline = found.get("candidate", {}), found.get("baseline", {})
    for name, after in candidate.items():
        before = baseline.get(name)
        numbers = (before, after, None if before is None else after - before)
        shown = ["" if value is None or not np.isfinite(value) else f"{value:.6g}" for value in numbers]
        yield ["ensemble", f"{len(arms['candidate'])} replicates", len(ruler.ids), name, *shown, *[""] * 5]


def _have_a_mean(ruler: Ruler, classes: Sequence[str], predictions: Array) -> bool:
    """Whether the mean of predictions (R, N, …) is a prediction again."""
    if len(predictions) < 2 or not np.issubdtype(predictions.dtype, np.floating):
        return False
    if not classes:
        targets = np.asarray(ruler.targets) if not isinstance(ruler.targets, Mapping) else None
        return targets is not None and targets.shape == predictions.shape[1:] and targets.dtype.kind == "f"
    sums = predictions.sum(axis=-1)
    fits = predictions.ndim > 2 and predictions.shape[-1] == len(classes)
    return bool(fits and (predictions >= 0).all() and np.allclose(sums, 1, atol=_ROUNDING))


def _scores(ruler: Ruler, predictions: Array, arm: str) -> dict[str, float]:
    """Every metric that can score them; none where the task's code refuses."""
    try:
        return ruler.scores(predictions, f"the ensemble of the {arm}")
    except UsageError:
        return {}
