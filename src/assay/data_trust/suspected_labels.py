"""Suspected labels of a project: where the probabilities come from, by which rule, and what is left alone.

The validation part is judged by the last run's own predictions of it, which are those of models that never saw it,
where they lie in the work tree and are probabilities; everything else by cross-fitted discriminants. The sealed test
part is left alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import AssayError, UsageError
from assay.core.paths import ProjectPaths
from assay.data_trust import cross_fitted, label_errors
from assay.data_trust.example_vectors import NoVectorsError, VectorSpace
from assay.data_trust.examples_of_all_parts import PartedExamples, Piece
from assay.data_trust.label_errors import Probabilities, SuspectedLabels
from assay.runtime import example_ids, npy_files

#: parts whose labels are judged
JUDGED = ("train", "validation")
#: bytes of probabilities that cleanlab's rule may take, as it wants all of them at once
MOST_BYTES = 512 * 2**20
RULES = ("confident", "cleanlab")


@dataclass(frozen=True)
class LabelSource:
    """Probabilities of some parts, and by whom they are: in words."""

    parts: Sequence[str]
    probabilities: Probabilities
    by: str


def find(
    examples: PartedExamples, space: VectorSpace | None, layout: ProjectPaths, rule: str, why: str = ""
) -> tuple[SuspectedLabels, list[str]]:
    """Suspects and the sources in words. `why` there is no space. Raises NoVectorsError with the reason."""
    if not examples.one_class_each:
        raise NoVectorsError("examples have no single class each")
    found = _sources(examples, space, layout)
    if not found:
        raise NoVectorsError(f"nothing predicts them: {why}, and no run left predictions of the validation part")
    judge = _by_cleanlab if rule == "cleanlab" else _by_confidence
    suspects = label_errors.joined([judge(examples, one) for one in found])
    return suspects, [f"{', '.join(one.parts)}: {one.by}" for one in found]


def _sources(examples: PartedExamples, space: VectorSpace | None, layout: ProjectPaths) -> list[LabelSource]:
    of_run = _predictions(examples, layout)
    rest = JUDGED if of_run is None else JUDGED[:1]
    found = []
    if space is not None:
        made = cross_fitted.fitted(examples, space, JUDGED)
        waves = ", with random features" if made.waves is not None else ""
        by = f"linear discriminants of {space.form}{waves}, cross-fitted in {cross_fitted.FOLDS} folds"
        found.append(LabelSource(rest, partial(made.probabilities, examples), by))
    if of_run is not None:
        replicates, mean = of_run
        by = f"the mean of {replicates} replicates of the last run, which did not train on it"
        found.append(LabelSource(JUDGED[1:], lambda piece: mean[piece.within], by))
    return found


def _predictions(examples: PartedExamples, layout: ProjectPaths) -> tuple[int, NDArray[np.float64]] | None:
    """How many replicates, and their mean probabilities (N, K) of the validation part; None where there are none."""
    part, folder = examples.parts["validation"], layout.predictions("candidate")
    try:
        ids, found = example_ids.read(folder / "ids.npy"), npy_files.read(folder / "predictions.npy")
    except (AssayError, OSError):
        return None
    if not np.array_equal(ids, part.ids):
        return None
    if found.ndim != 3 or found.shape[1:] != (len(part), len(examples.classes or ())):
        return None
    finite = found[np.isfinite(found).all(axis=(1, 2))].astype(np.float64)
    if not len(finite) or finite.min() < -1e-6 or np.abs(finite.sum(axis=2) - 1).max() > 1e-3:
        return None
    return len(finite), finite.mean(axis=0)


def _by_confidence(examples: PartedExamples, source: LabelSource) -> SuspectedLabels:
    limits = label_errors.thresholds(examples.pieces(source.parts), examples.targets, source.probabilities)
    return label_errors.suspected(examples.pieces(source.parts), examples.targets, source.probabilities, limits)


def _by_cleanlab(examples: PartedExamples, source: LabelSource) -> SuspectedLabels:
    """cleanlab's filter `confident_learning`, which wants all probabilities at once."""
    pieces: list[Piece] = list(examples.pieces(source.parts))
    classes, count = len(examples.classes or ()), sum(len(piece.rows) for piece in pieces)
    if 4 * classes * count > MOST_BYTES:
        raise UsageError(
            f"cleanlab needs {4 * classes * count / 2**20:,.0f} MiB for the probabilities of {count:,} examples",
            allowed=f"up to {MOST_BYTES / 2**20:.0f} MiB",
            hint="assay data, whose own rule takes them a few at a time",
        )
    chances = np.concatenate([source.probabilities(piece).astype(np.float32) for piece in pieces])
    labels = np.concatenate([examples.targets(piece) for piece in pieces])
    rows = np.concatenate([piece.rows for piece in pieces])
    package: Any = importlib.import_module("assay.data_trust.cleanlab_package")
    chosen = package.label_filter.find_label_issues(
        labels, chances, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
    )
    chosen = np.asarray(chosen, dtype=np.int64)
    others = chances.copy()
    others[np.arange(len(labels)), labels] = -1.0
    suggested = others[chosen].argmax(axis=1)
    margins = (chances[chosen, labels[chosen]] - chances[chosen, suggested]).astype(np.float64)
    agreement = float((chances.argmax(axis=1) == labels).mean())
    return SuspectedLabels(rows[chosen], labels[chosen], suggested, margins, count, agreement)
