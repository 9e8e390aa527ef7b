"""The parts of a task's training, in the form in which `assay.doctor.examine` takes them.

No optimizer of torch is made: the product's loop has none, so what is held is every parameter that needs a gradient,
at the rate of params.yaml.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from assay.core.params_yaml import Params
from assay.training import device, loss_terms, model_init, parameter_groups, random_streams, task_interface
from assay.training.batches import Tensors
from assay.training.task_interface import Task

#: seed of the augmentation that is examined
SEED = 1
CPU = torch.device("cpu")


@dataclass(frozen=True)
class EngineRule:
    """What the product's own loop updates, in the form in which torch's optimizers say it."""

    param_groups: list[dict[str, Any]]


def arguments(
    task: Task,
    params: Params,
    train: Tensors,
    evaluated: Tensors,
    outputs: int | dict[str, int],
    classes: int | None,
    where: torch.device = CPU,
) -> dict[str, Any]:
    """Arguments of `examine`, with a fresh model on the device `where`. Draws from the global generators."""
    random_streams.seed_globals(params.seed)
    model = task_interface.build(task, train.shape, outputs, params.model)
    model = task_interface.shaped(task, model, train.inputs[:2])
    model_init.set_weights(task, model, params, train.targets, classes)
    model = device.cast(model, where, device.DTYPES[params.train.precision])
    parameter_groups.freeze(model, params.train)
    held = [one for one in model.parameters() if one.requires_grad]
    momentum = {"momentum": params.train.momentum} if params.train.optimizer == "sgd" else {}
    return {
        "model": model,
        "loss": lambda output, target: loss_terms.weighed(task.call("loss", output, target), params.train.loss_weights),
        "optimizer": EngineRule([{"params": held, "lr": params.lr, **momentum}]),
        "train_loader": _loader(train, params.train.batch_size),
        "val_loader": _loader(evaluated, params.train.batch_size),
        "forward": None if task.augment is None else lambda given, batch: _augmented(task, given, batch),
        "clip": params.train.clip or None,
    }


def some(part: Tensors, most: int) -> Tensors:
    """Up to `most` examples of `part`, evenly over it; all where they lie in files, of which few batches are taken."""
    count = min(most, len(part))
    if count == len(part) or not isinstance(part.inputs, Tensor):
        return part
    rows = torch.arange(count, device=part.targets.device) * len(part) // count
    return replace(part, inputs=part.inputs[rows.to(part.inputs.device)], targets=part.targets[rows])


def _loader(part: Tensors, size: int) -> Any:
    """Batches as the loop takes them; a short list where examples are collated or lie in files."""
    count = min(size, len(part))
    if isinstance(part.inputs, Tensor):
        return DataLoader(TensorDataset(part.inputs, part.targets), batch_size=count, shuffle=True, drop_last=True)
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(SEED))
    return [(part.inputs[rows], part.targets[rows]) for rows in torch.split(order[: 3 * count], count)]


def _augmented(task: Task, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Any, Tensor]:
    inputs, targets = batch
    if model.training:
        inputs, targets = task.call("augment", inputs, targets, torch.Generator().manual_seed(SEED))
    return model(inputs), targets
