"""results/slices.csv: the deciding metric by slice; precision, recall and F1 of each class; each metric of the ensemble
of an arm's replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.metrics import ensemble_scores, result_tables
from assay.metrics.scored_arm import Ruler
from assay.metrics.slice_scores import SliceFinding
from assay.ready import metrics as ready

Array = NDArray[Any]
COLUMNS = ("by", "name", "examples", "metric", "baseline", "candidate", "delta", "ci_low", "ci_high", "p", "p_holm")
#: metrics of one class
_OF_CLASS = ("precision", "recall", "f1")


def text(
    ruler: Ruler,
    slices: Sequence[SliceFinding],
    classes: Sequence[str],
    arms: Mapping[str, Sequence[Array]],
    *,
    keeps_scores: bool = False,
) -> str:
    """The table. `arms` has the predictions (N, …) of each replicate that counts, by the arm's name.

    `keeps_scores`: they are what `score` of the task keeps, so that an ensemble has none.
    """
    ensembles = ensemble_scores.rows(ruler, classes, arms, keeps_scores=keeps_scores)
    rows = [*_slices(ruler, slices), *_classes(ruler, classes, arms), *ensembles]
    return result_tables.text([*COLUMNS, "verdict"], rows)


def empty() -> str:
    """The table without a row."""
    return result_tables.text([*COLUMNS, "verdict"], [])


def _slices(ruler: Ruler, slices: Sequence[SliceFinding]) -> Iterator[list[object]]:
    for one in slices:
        found = one.comparison
        if found is None:
            yield ["slice", one.name, one.examples, ruler.decides, *[""] * 7, one.verdict]
            continue
        numbers = (found.baseline.mean, found.candidate.mean, found.delta, *found.ci, found.p, one.p_holm)
        shown = ["" if value is None or not math.isfinite(value) else f"{value:.6g}" for value in numbers]
        yield ["slice", one.name, one.examples, ruler.decides, *shown, one.verdict]


def _classes(ruler: Ruler, classes: Sequence[str], arms: Mapping[str, Sequence[Array]]) -> Iterator[list[object]]:
    """Means over replicates, described and not tested; nothing where predictions are no classes."""
    found = {name: _of_arm(ruler.targets, each, len(classes)) for name, each in arms.items()} if classes else {}
    candidate, baseline = found.get("candidate"), found.get("baseline")
    if candidate is None:
        return
    for number, name in enumerate(classes):
        for metric in _OF_CLASS:
            after = candidate[metric][number]
            before = math.nan if baseline is None else baseline[metric][number]
            shown = ["" if math.isnan(value) else f"{value:.6g}" for value in (before, after, after - before)]
            yield ["class", name, int(candidate["count"][number]), metric, *shown, *[""] * 5]


def _of_arm(targets: Any, predictions: Sequence[Array], classes: int) -> dict[str, NDArray[np.float64]] | None:
    try:
        each = [ready.per_class(targets, row, classes) for row in predictions]
    except (ValueError, AttributeError):  # values, scores or several targets
        return None
    if not each:
        return None
    with np.errstate(invalid="ignore"):
        return {name: np.stack([one[name] for one in each]).mean(axis=0) for name in each[0]}
