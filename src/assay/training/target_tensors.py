"""Several targets an example, as a task's own functions see them: a dict of Tensors in place of one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from assay.data.named_targets import TargetPart
from assay.training.task_interface import Task

Parts = Sequence[TargetPart]


def with_parts(task: Task, parts: tuple[TargetPart, ...] | None) -> Task:
    """`task`, whose loss, score and augment get and give a dict of targets where examples have several."""
    if parts is None:
        return task
    return replace(
        task,
        parts=parts,
        loss=task.loss and _taking(task.loss, parts),
        score=task.score and _taking(task.score, parts),
        augment=task.augment and _augmenting(task, parts),
    )


def unpack(table: Tensor, parts: Parts, dtype: torch.dtype) -> dict[str, Tensor]:
    """Name → (…, shape of one) from a table (…, K): whole numbers as int64, others in `dtype`."""
    found = {}
    for one in parts:
        part = table[..., one.first : one.end].reshape(*table.shape[:-1], *one.shape)
        found[one.name] = part.long() if one.whole else part.to(dtype)
    return found


def _pack(targets: Any, parts: Parts, task: Task) -> Tensor:
    """The table (B, K) of a batch's targets, as augment() gives them back."""
    if not isinstance(targets, dict) or set(targets) != {one.name for one in parts}:
        found = sorted(map(str, targets)) if isinstance(targets, dict) else type(targets).__name__
        raise task.refuse(f"augment() returns targets {found}", f"a dict with {', '.join(one.name for one in parts)}")
    columns = [targets[one.name].reshape(len(targets[one.name]), -1).double() for one in parts]
    return torch.cat(columns, dim=1)


def _taking(function: Callable[..., Any], parts: Parts) -> Callable[[Tensor, Tensor], Any]:
    def taking(outputs: Tensor, targets: Tensor) -> Any:
        return function(outputs, unpack(targets, parts, _dtype(outputs)))

    return taking


def _augmenting(task: Task, parts: Parts) -> Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]:
    assert task.augment is not None
    function = task.augment

    def augmenting(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        made: Any = function(inputs, unpack(targets, parts, _dtype(inputs)), generator)  # type: ignore[arg-type]
        if not isinstance(made, tuple) or len(made) != 2:
            raise task.refuse("augment() does not return two things", "(inputs, targets)")
        return made[0], _pack(made[1], parts, task)

    return augmenting


def _dtype(like: Tensor) -> torch.dtype:
    """What values are wanted in: half precision of a model's outputs is not for targets."""
    return torch.float64 if like.dtype == torch.float64 else torch.float32
