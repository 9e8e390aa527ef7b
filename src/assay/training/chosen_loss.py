"""The loss that trains: a ready one by its name with weights for the classes of the data, or the task's own.

Covers: whether the loss is for targets like these, class weights by name or by frequency. Not covered: the losses
(`ready.losses`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core import loss_section
from assay.core.errors import UsageError
from assay.core.loss_section import BALANCED, CLASSES, LOSSES, VALUES, LossSection
from assay.core.short_repr import listed
from assay.data.storage import Examples
from assay.ready import losses
from assay.training.task_interface import Task

#: name of a ready loss, and its options as its function takes them
Chosen = tuple[str, dict[str, Any]]
WEIGHTS = "class_weights"
_HINT = "set loss.options.class_weights in params.yaml"


def with_options(task: Task, loss: LossSection, train: Examples) -> Task:
    """`task` with the loss that params.yaml names, its options made ready for the examples that train.

    Raises UsageError where the loss is not for targets like these.
    """
    if not loss.name or task.fit is not None:
        return task
    kind = VALUES if train.classes is None else CLASSES
    if train.several is not None:
        raise UsageError(
            f"loss.name is {loss.name}, and examples have several targets",
            allowed="a loss() of the task's own",
            hint="remove loss.name in params.yaml",
        )
    if kind not in LOSSES[loss.name].targets:
        raise UsageError(
            f"loss.name is {loss.name}, and the targets are {kind}",
            allowed=", ".join(name for name, one in LOSSES.items() if kind in one.targets),
            hint="set loss.name in params.yaml",
        )
    options = dict(loss.options)
    if options.get(WEIGHTS) is not None:
        options[WEIGHTS] = _weights(options[WEIGHTS], train)
    return bound(task, loss.name, options)


def bound(task: Task, name: str, options: Mapping[str, Any]) -> Task:
    """`task` with the ready loss `name` and options as its function takes them."""
    return replace(task, loss=partial(getattr(losses, name), **options), ready_loss=(name, dict(options)))


def _weights(given: object, train: Examples) -> list[float]:
    """A weight for each class, in the order of their numbers."""
    names = train.classes or ()
    if given == BALANCED:
        return _balanced(names, np.asarray(train.targets))
    if isinstance(given, Mapping):
        written = {str(name): float(value) for name, value in given.items()}
        unknown = next((name for name in written if name not in names), None)
        if unknown is not None:
            raise UsageError(f"class_weights has {unknown!r}, which is no class", allowed=listed(names), hint=_HINT)
        return [written.get(name, 1.0) for name in names]
    assert isinstance(given, list)
    if len(given) != len(names):
        raise UsageError(
            f"class_weights has {len(given)} numbers for {len(names)} classes", allowed=loss_section.WEIGHTS, hint=_HINT
        )
    return [float(one) for one in given]


def _balanced(names: Sequence[str], targets: NDArray[np.int64]) -> list[float]:
    """N / (K * N_k), as scikit-learn has it; padding does not count."""
    counts = np.bincount(targets[targets >= 0].ravel(), minlength=len(names))
    if not counts.all():
        raise UsageError(
            f"class_weights is balanced, and no training example is of class {names[int(counts.argmin())]!r}",
            allowed="a list or a mapping of weights",
            hint=_HINT,
        )
    return [float(one) for one in counts.sum() / (len(names) * counts)]
