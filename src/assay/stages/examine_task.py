"""examine_task: the doctor on the project's own task: its model, loss and augmentation, on its split examples.

`assay stage examine_task REPORT.json`, started by `assay doctor`; no stage of dvc.yaml. Reads data/split/train and
data/split/validation, never the test part, and writes nothing but the report. No optimizer of torch is made: the
product's loop has none, so what is held is every parameter that needs a gradient, at the rate of params.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from assay.core import params_problems
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.doctor import Report, examine
from assay.doctor.example_draws import MOST
from assay.replicates.train_and_eval_examples import NEEDED, sample, without
from assay.runtime import dvc_yaml, files
from assay.stages.check_run import few
from assay.training import (
    batches,
    configured_task,
    device,
    loss_terms,
    model_init,
    parameter_groups,
    random_streams,
    task_interface,
)
from assay.training.batches import Tensors
from assay.training.task_interface import Task

#: seed of the augmentation that is examined
SEED = 1


@dataclass(frozen=True)
class EngineRule:
    """What the product's own loop updates, in the form in which torch's optimizers say it."""

    param_groups: list[dict[str, Any]]


def main(root: Path, arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"examine_task was given {len(arguments)} arguments", allowed="one path of a report")
    problems, params = params_problems.problems(dvc_yaml.parameters(root))
    if problems or params is None:
        raise problems[0] if problems else UsageError("params.yaml cannot be read")
    files.write_text(Path(arguments[0]), examined(root, params).json() + "\n")


def examined(root: Path, params: Params) -> Report:
    """The doctor's report on the task of `root`. Raises UsageError where there is nothing to look at."""
    layout = ProjectPaths(root)
    loaded = task_interface.load(params.task.name, root, params.model, params.loss.name)
    if loaded.model is None or (loaded.loss is None and not params.loss.name):
        raise UsageError(
            f"{loaded.file} trains by fit(), a loop of its own, and has no model() and loss() beside it",
            hint="call assay.doctor.examine in it, with your model, loss, optimizer and loaders",
        )
    evaluated, train = _part(layout, "validation"), _part(layout, "train")
    task = configured_task.load(params, root, train)
    train = few(sample(without(train, evaluated)[0], params.train.sample), MOST)
    outputs = batches.outputs(train)
    precision = device.DTYPES[params.train.precision]
    both = batches.tensors(task, train, few(evaluated, MOST), precision)
    random_streams.seed_globals(params.seed)
    model = task_interface.build(task, both[0].shape, outputs, params.model)
    model = task_interface.shaped(task, model, both[0].inputs[:2])
    classes = None if train.classes is None else len(train.classes)
    model_init.set_weights(task, model, params, both[0].targets, classes)
    parameter_groups.freeze(model.to(precision), params.train)
    held = [one for one in model.parameters() if one.requires_grad]
    return examine(
        model,
        lambda output, target: loss_terms.weighed(task.call("loss", output, target), params.train.loss_weights),
        EngineRule([{"params": held, "lr": params.lr}]),
        _loader(both[0], params.train.batch_size),
        _loader(both[1], params.train.batch_size),
        forward=None if task.augment is None else lambda given, batch: _augmented(task, given, batch),
        clip=params.train.clip or None,
    )


def _part(layout: ProjectPaths, name: str) -> Examples:
    return storage.read(layout.part(name), NEEDED)[0]


def _loader(part: Tensors, size: int) -> Any:
    """Batches as the loop takes them; a list where examples are collated, which cannot be stacked one by one."""
    count = min(size, len(part))
    if isinstance(part.inputs, Tensor):
        return DataLoader(TensorDataset(part.inputs, part.targets), batch_size=count, shuffle=True, drop_last=True)
    chosen = torch.split(torch.arange(len(part)), count)[:3]
    return [(part.inputs[rows], part.targets[rows]) for rows in chosen]


def _augmented(task: Task, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Any, Tensor]:
    inputs, targets = batch
    if model.training:
        inputs, targets = task.call("augment", inputs, targets, torch.Generator().manual_seed(SEED))
    return model(inputs), targets
