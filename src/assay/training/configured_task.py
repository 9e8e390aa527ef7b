"""A task as params.yaml wants it: its members, with a ready loss and ready augmentation where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from assay.core.params_yaml import Params
from assay.data.named_targets import TargetPart
from assay.data.storage import Examples
from assay.ready import augmentation
from assay.training import chosen_loss, target_tensors, task_interface
from assay.training.task_interface import Task


def load(params: Params, root: Path, train: Examples) -> Task:
    """The task of the project at `root` for the examples that train. Raises UsageError for what is wrong in it."""
    task = chosen_loss.with_options(_members(params, root, train.several), params.loss, train)
    return _augmenting(task, params.train.augment)


def again(params: Params, root: Path, like: tuple[tuple[TargetPart, ...] | None, chosen_loss.Chosen | None]) -> Task:
    """The same task in another process: `like` are its `parts` and its `ready_loss`."""
    parts, ready_loss = like
    task = _members(params, root, parts)
    task = task if ready_loss is None else chosen_loss.bound(task, *ready_loss)
    return _augmenting(task, params.train.augment)


def _members(params: Params, root: Path, parts: tuple[TargetPart, ...] | None) -> Task:
    loaded = task_interface.load(params.task.name, root, params.model, params.loss.name)
    return target_tensors.with_parts(loaded, parts)


def _augmenting(task: Task, asked: Mapping[str, float]) -> Task:
    """`task` whose inputs are changed by chance as `train.augment` says, after its own augment()."""
    if not any(asked.values()) or task.fit is not None:
        return task
    own = task.augment

    def augment(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if own is not None:
            inputs, targets = own(inputs, targets, generator)
        if not isinstance(inputs, Tensor) or inputs.ndim not in (3, 4) or not inputs.is_floating_point():
            found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise task.refuse(
                f"train.augment is for images, and inputs are {found}", "numbers (B, H, W) or (B, C, H, W)"
            )
        return augmentation.changed(inputs, asked, generator), targets

    return replace(task, augment=augment)
