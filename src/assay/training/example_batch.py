"""A batch of inputs: a Tensor, or a dict of Tensors as `collate()` makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

Batch: TypeAlias = Tensor | dict[str, Tensor]


def mapped(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """`batch` with each Tensor changed."""
    if isinstance(batch, dict):
        return {name: change(tensor) for name, tensor in batch.items()}
    return change(batch)


def moved(batch: Any, place: torch.device) -> Any:
    """`batch` on this device."""
    return mapped(lambda tensor: tensor.to(place), batch)


def lane(batch: Any, number: int) -> Any:
    """One lane of a batch (lanes, B, …)."""
    return mapped(lambda tensor: tensor[number], batch)


def as_lane(batch: Any) -> Any:
    """A batch (B, …) as the only lane of one (1, B, …)."""
    return mapped(lambda tensor: tensor[None], batch)


def shape(batch: Any) -> Any:
    """Shape of a batch, by name where it is a dict."""
    if isinstance(batch, dict):
        return {name: tuple(tensor.shape) for name, tensor in batch.items()}
    return tuple(batch.shape)


def is_batch(value: object) -> bool:
    """Whether `value` is a Tensor, or a dict of Tensors with at least one."""
    if isinstance(value, dict):
        return bool(value) and all(isinstance(one, Tensor) for one in value.values())
    return isinstance(value, Tensor)
