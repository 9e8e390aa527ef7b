"""The section `loss` of params.yaml: a ready loss by its name, in place of the task's own.

Covers: names, options and their ranges, what kinds of targets each is for. Not covered: the losses themselves
(`ready.losses`), weights for the classes that the data have (`training.chosen_loss`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.core.errors import UsageError
from assay.core.params_section import Section

CLASSES, VALUES = "classes", "values"
#: what `class_weights` may be besides a list and a mapping: the inverse of how frequent each class is
BALANCED = "balanced"


class LossSection(Section, frozen=True, kw_only=True):
    #: a ready loss, in place of the task's own; empty: the task's loss()
    name: str = ""
    options: dict[str, Any] = {}  # keyword arguments of that loss: label_smoothing, class_weights, gamma, …


@dataclass(frozen=True)
class ReadyLoss:
    """What a ready loss is for, and the names of its options."""

    targets: tuple[str, ...]
    options: tuple[str, ...] = ()
    soft: bool = False  # takes probabilities of classes, as mixup makes them


LOSSES: Mapping[str, ReadyLoss] = {
    "cross_entropy": ReadyLoss((CLASSES,), ("label_smoothing", "class_weights"), soft=True),
    "focal": ReadyLoss((CLASSES,), ("gamma", "class_weights"), soft=True),
    "bce": ReadyLoss((CLASSES, VALUES), ("label_smoothing", "pos_weight"), soft=True),
    "hinge": ReadyLoss((CLASSES,), ("margin",)),
    "dice": ReadyLoss((CLASSES,), ("smooth",), soft=True),
    "kl": ReadyLoss((CLASSES, VALUES), soft=True),
    "contrastive": ReadyLoss((CLASSES,), ("temperature",)),
    "mse": ReadyLoss((VALUES,)),
    "mae": ReadyLoss((VALUES,)),
    "huber": ReadyLoss((VALUES,), ("delta",)),
    "cosine": ReadyLoss((VALUES,)),
}
#: option → words for its range, and whether a number is in it
_RANGES: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "label_smoothing": ("a number >= 0 and < 1", lambda value: 0 <= value < 1),
    "gamma": ("a number >= 0", lambda value: value >= 0),
    "smooth": ("a number > 0", lambda value: value > 0),
    "pos_weight": ("a number > 0", lambda value: value > 0),
    "margin": ("a number > 0", lambda value: value > 0),
    "delta": ("a number > 0", lambda value: value > 0),
    "temperature": ("a number > 0", lambda value: value > 0),
}
WEIGHTS = "balanced, a list with a number for each class, or a mapping of class names to numbers"


def check(loss: LossSection, where: str, *, mixes: bool = False) -> None:
    """Raise UsageError for a name or an option that no ready loss has, or a value out of its range.

    `mixes`: whether training mixes examples, so that class numbers become probabilities.
    """
    if not loss.name:
        if loss.options:
            raise UsageError(f"{where} has loss.options and no loss.name", hint="set loss.name in params.yaml")
        return
    if loss.name not in LOSSES:
        raise UsageError(
            f"{where}: loss.name is {loss.name!r}", allowed=", ".join(LOSSES), hint="set loss.name in params.yaml"
        )
    if mixes and VALUES not in LOSSES[loss.name].targets and not LOSSES[loss.name].soft:
        raise UsageError(
            f"{where}: loss.name {loss.name} wants class numbers, and mixup or cutmix makes probabilities of them",
            allowed=", ".join(name for name, one in LOSSES.items() if one.soft),
            hint="set loss.name, or remove train.mixup and train.cutmix",
        )
    known = LOSSES[loss.name].options
    for name, value in loss.options.items():
        if name not in known:
            raise UsageError(
                f"{where}: unknown parameter 'loss.options.{name}' of {loss.name}",
                allowed=", ".join(known) or "none",
                hint="remove it in params.yaml",
            )
        if allowed := _refused(name, value):
            raise UsageError(
                f"{where}: loss.options.{name} is {value!r}", allowed=allowed, hint=f"set loss.options.{name}"
            )


def _refused(name: str, value: object) -> str:
    """What is allowed, where `value` is not; else empty."""
    if name == "class_weights":
        return "" if _are_weights(value) else WEIGHTS
    allowed, fits = _RANGES[name]
    return "" if isinstance(value, int | float) and not isinstance(value, bool) and fits(value) else allowed


def _are_weights(value: object) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, int | float) and one >= 0 for one in value) and any(value)
    return value is None or value == BALANCED
