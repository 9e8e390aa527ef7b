"""Predictions of the same validation examples, from before the first step to the end of training.

Covers: which epochs, classes with confidences, values. Not covered: forward passes (`recorder.lane_recorder`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from msgspec import UNSET, UnsetType
from torch import Tensor

from assay.core.net_record import MOMENTS, PredictionTrack
from assay.recorder import target_labels

#: why there are none
SCORES = "predictions are not followed: the task keeps scores in their place"
SEVERAL = "predictions are not followed: they are more than one class or one number an example"

_STATE = ("problem", "epochs", "classes", "confidences", "values")


def moments(epochs: int) -> list[int]:
    """At most MOMENTS epochs, evenly spaced by their logarithm: 0, the first, the last."""
    between = MOMENTS - 2
    return sorted({0, *(round(max(epochs, 1) ** (place / between)) for place in range(between + 1))})


class PredictionTracker:
    """Collects predictions. `problem`: why they cannot be told, "" while they can."""

    def __init__(self, ids: Sequence[str], targets: Tensor, classes: Sequence[str] | None) -> None:
        """`targets` (N, …) are those of the examples."""
        self.ids, self.targets, self.names = list(ids), targets.detach().cpu(), classes
        self.problem = "" if self.targets.ndim == 1 or self.targets[0].numel() == 1 else SEVERAL
        self.epochs: list[int] = []
        self.classes: list[list[int]] = []
        self.confidences: list[list[float | None]] = []
        self.values: list[list[float | None]] = []

    def add(self, epoch: int, predictions: Tensor) -> None:
        """What is predicted after `epoch`: probabilities (N, K) of classes, or a value for each (N, …)."""
        made = predictions.detach().cpu().double()
        if self.names is not None and made.ndim == 2:
            largest, numbers = made.max(dim=1)
            good = made.isfinite().all(dim=1)
            self.classes.append(torch.where(good, numbers, -1).tolist())
            self.confidences.append([_number(one, 3) for one in largest.tolist()])
        elif self.names is None and made.numel() == len(self.targets):
            self.values.append([_number(one, 4) for one in made.reshape(-1).tolist()])
        else:
            self.problem = SEVERAL
            return
        self.epochs.append(epoch)

    def state(self) -> dict[str, Any]:
        """What was predicted so far, as JSON has it."""
        return {name: getattr(self, name) for name in _STATE}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        for name in _STATE:
            setattr(self, name, state[name])

    def record(self) -> PredictionTrack | UnsetType:
        """All of them; UNSET where there are none."""
        if self.problem or not self.epochs:
            return UNSET
        labels = [] if self.names is None else [int(one) for one in self.targets.reshape(-1)]
        met = {*labels, *(one for epoch in self.classes for one in epoch if one >= 0)}
        return PredictionTrack(
            ids=self.ids,
            epochs=self.epochs,
            targets=target_labels.labels(self.targets.reshape(-1), self.names),
            labels=labels,
            names={str(one): target_labels.name(one, self.names) for one in sorted(met)},
            classes=self.classes,
            confidences=self.confidences,
            values=self.values,
        )


def _number(value: float, figures: int) -> float | None:
    return float(f"{value:.{figures}g}") if math.isfinite(value) else None
