"""A loss of several terms by name: what is minimised is their weighed sum, and each has a curve of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from assay.core.params_yaml import Train
from assay.training.task_interface import Task


class LossTerms:
    """A task's loss as engines call it: a scalar, or (1 + T,) what is minimised and then each term, unweighed.

    `names` are those of the terms, once it was called; none where the loss is a scalar.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Any], weights: Mapping[str, float]) -> None:
        self.function = function
        self.weights = weights
        self.names: tuple[str, ...] = ()

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        found = self.function(outputs, targets)
        if not isinstance(found, dict):
            made: Tensor = found
            return made
        if self.names != tuple(found):
            self.names = tuple(found)
        return torch.stack([weighed(found, self.weights), *found.values()])


def weighed(found: Any, weights: Mapping[str, float]) -> Tensor:
    """What is minimised: the sum of the terms, each times its weight, which is 1 where none is given."""
    if not isinstance(found, dict):
        made: Tensor = found
        return made
    parts = [value * weights[name] if name in weights else value for name, value in found.items()]
    return torch.stack(parts).sum()


def minimised(losses: Tensor) -> Tensor:
    """(lanes,) what is minimised, of (lanes,) or (lanes, 1 + T) losses."""
    return losses if losses.ndim == 1 else losses[:, 0]


def check(task: Task, settings: Train, found: object) -> None:
    """Raise UsageError for weights of terms that loss() does not return. `found`: what it returned for a batch."""
    names = [str(name) for name in found] if isinstance(found, dict) else []
    unknown = next((name for name in settings.loss_weights if name not in names), None)
    if unknown is not None:
        returned = ", ".join(names) or "one number, and no terms by name"
        raise task.refuse(f"train.loss_weights has {unknown!r}, and loss() returns {returned}", "names of its terms")
    if names and not any(settings.loss_weights.get(name, 1.0) for name in names):
        raise task.refuse("train.loss_weights is 0 for every term, which leaves nothing to minimise", "one above 0")
