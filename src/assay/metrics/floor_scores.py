"""Floors under the ruler: in the form that the candidate's predictions have, or left out with a reason.

Covers: floors that `baseline` wrote, a second person's labels, a person's score from params.yaml. Not covered: making
predictions of floors (`baseline.trivial_baselines`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import ABSENT, ProjectPaths
from assay.core.schemas import AbsentFloors
from assay.metrics import scored_arm
from assay.metrics.scored_arm import Ruler
from assay.ready import metrics as ready
from assay.runtime import files

Array = NDArray[Any]
HUMAN, SECOND = "human", "second labels"
#: ready metrics that a bare label cannot be scored by
_GRADED = ("auroc", "log_loss", "ece", "nats_per_token")


@dataclass
class Floors:
    """Floor → its score under every metric, its predictions if it has any, or why it is left out."""

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    predictions: dict[str, Array] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PredictionForm:
    """The form that predictions have: the candidate's."""

    shape: tuple[int, ...]  # (N, …)
    classes: int | None
    scored: bool  # they are what score() of the task keeps


def read(
    layout: ProjectPaths, ruler: Ruler, wanted: PredictionForm, second: Array | None, human: float | None
) -> Floors:
    """All floors for the ruler's examples; `second` are a second person's labels (N, …), `human` a person's score."""
    found = Floors(absent=noted_absent(layout))
    for name, array in scored_arm.floors(layout, ruler).items():
        add(found, name, array, ruler, wanted)
    if second is not None:
        name = HUMAN if human is None else SECOND
        if reason := no_person(ruler):
            found.absent[name] = reason
        else:
            add(found, name, labels(second, wanted.classes), ruler, wanted)
    if human is not None:
        found.scores[HUMAN] = {ruler.decides: human}
    return found


def add(found: Floors, name: str, array: Array, ruler: Ruler, wanted: PredictionForm) -> None:
    """Score one floor, or note why it is left out."""
    fitted = _fitted(array, wanted, ruler)
    if isinstance(fitted, str):
        found.absent[name] = fitted
        return
    try:
        found.scores[name] = ruler.scores(fitted, f"floor {name}")
        found.predictions[name] = fitted
    except UsageError as error:
        found.absent[name] = error.problem


def no_person(ruler: Ruler) -> str:
    """Why a person's labels cannot be scored; "" where they can."""
    graded = ruler.metric.function in [ready.METRICS[name]["function"] for name in _GRADED]
    return f"{ruler.decides} asks for probabilities, and a person gave labels" if graded else ""


def _fitted(array: Array, wanted: PredictionForm, ruler: Ruler) -> Array | str:
    """The floor's predictions in the wanted form, or why they cannot be had in it."""
    if ruler.metric.function is ready.nats_per_token and array.shape == np.shape(ruler.targets):
        return array  # which takes nats and probabilities
    if wanted.scored:
        return "score() of the task keeps what no floor can give"
    if array.shape == wanted.shape:
        return array
    if wanted.classes and (*array.shape, wanted.classes) == wanted.shape and _are_labels(array, wanted.classes):
        return np.eye(wanted.classes, dtype=np.float32)[array.astype(np.int64)]
    if wanted.classes and array.shape == (*wanted.shape, wanted.classes):
        return np.asarray(array.argmax(axis=-1), dtype=np.float32)
    return f"it is of shape {array.shape[1:]} an example, and predictions are of shape {wanted.shape[1:]}"


def _are_labels(array: Array, classes: int) -> bool:
    return bool(((array == np.floor(array)) & (array >= 0) & (array < classes)).all())


def labels(second: Array, classes: int | None) -> Array:
    """A person's labels as predictions: one class with certainty, or values."""
    if classes is None:
        return second.astype(np.float32)
    labels = np.maximum(second.astype(np.int64), 0)
    return np.eye(classes, dtype=np.float32)[labels] if second.ndim == 1 else labels.astype(np.float32)


def noted_absent(layout: ProjectPaths) -> dict[str, str]:
    """What `baseline` noted, if there was anything."""
    path = layout.floors / ABSENT
    if not path.is_file():
        return {}
    return dict(schemas.decode(files.read_bytes(path), AbsentFloors, str(path)).absent)


def reasons(absent: Mapping[str, str]) -> list[str]:
    """One line each, for people."""
    return [f"no floor {name}: {why}" for name, why in sorted(absent.items())]
