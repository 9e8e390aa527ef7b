"""Fresh models of replicates: each drawn from the replicate's own stream."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.core import train_section, variation
from assay.core.loss_section import LOSSES
from assay.core.params_yaml import Params
from assay.core.schemas import Note
from assay.training import (
    device,
    dropout,
    example_batch,
    initial_weights,
    loss_terms,
    parameter_groups,
    pretrained_weights,
    random_streams,
    task_interface,
)
from assay.training.dropout import Masks
from assay.training.mixing import Mixing
from assay.training.parameter_layout import ParameterSlices
from assay.training.task_interface import Task
from assay.training.training_spec import TrainingPlan

#: options that a task's own optimizer() decides
_OF_RULE = ("no_decay", "lr_mult", "unfreeze_every", "layer_decay", *train_section.OF_OPTIMIZER)


def module(plan: TrainingPlan, number: int, masks: Masks) -> nn.Module:
    """The untrained model of replicate `number`, on the device, its dropout drawing from `masks`.

    Leaves the global generators as the replicate's training starts with them.
    """
    streams = plan.streams(number)
    random_streams.seed_globals(streams.of_globals("init"), streams.integer("init"))
    made = task_interface.build(plan.task, plan.train.shape, plan.outputs, plan.params.model)
    made = task_interface.shaped(plan.task, dropout.install(made, masks), plan.train.inputs[:2])
    set_weights(plan.task, made, plan.params, plan.train.targets, plan.classes)
    made = device.cast(made, plan.device, device.DTYPES[plan.params.train.precision])
    parameter_groups.freeze(made, plan.params.train)
    random_streams.seed_globals(streams.of_globals("augment", "dropout"))
    return made


def set_weights(task: Task, made: nn.Module, params: Params, targets: Tensor, classes: int | None) -> None:
    """First weights of a fresh model (in place) as params.yaml wants them. `targets`: those that train."""
    initial_weights.apply(made, params)
    initial_weights.set_target_scale(made, targets, classes)
    initial_weights.set_prior(task, made, params, targets, classes)
    pretrained_weights.load(task, made, params.train)


def same_start(plan: TrainingPlan, numbers: Sequence[int]) -> Note | None:
    """A caution where replicates begin with the same weights, and runs differ too little; else None.

    A linear model from zero and a fine-tuning do so by design, a seed that model() sets itself by accident. Two
    replicates tell; whatever model() draws, the global generators stay as they were.
    """
    if len(numbers) < 2 or "init" not in variation.varied(plan.purpose):  # there it is meant, and said elsewhere
        return None
    with random_streams.untouched():
        starts, reseeded = zip(*(_start(plan, number) for number in numbers[:2]), strict=True)
    if len(set(starts)) > 1 or not starts[0]:
        return None
    why = "the spread of runs leaves out the luck of a start (none is meant in a fine-tuning)"
    if any(reseeded):
        why = "model() sets a seed of its own (torch.manual_seed), and the spread is too small: remove it"
    return Note(f"replicates begin with the same weights: {why}", "caution")


def _start(plan: TrainingPlan, number: int) -> tuple[str, bool]:
    """Hash of the weights that this replicate begins with, and whether model() seeded torch itself."""
    seed = plan.streams(number).integer("init")
    random_streams.seed_globals(plan.streams(number).of_globals("init"), seed)
    made = task_interface.build(plan.task, plan.train.shape, plan.outputs, plan.params.model)
    if any(nn.parameter.is_lazy(one) for one in made.parameters()):
        return "", False  # it has no weights yet
    set_weights(plan.task, made, plan.params, plan.train.targets, plan.classes)
    found = hashlib.blake2b(digest_size=16)
    for one in made.parameters():
        if one.requires_grad:
            found.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest(), torch.initial_seed() != seed


def masks(plan: TrainingPlan, numbers: list[int]) -> Masks:
    return Masks([plan.streams(number).generator("dropout", plan.device) for number in numbers])


def check(plan: TrainingPlan) -> None:
    """Hold the task's members against the contract, on a model and a batch that are thrown away."""
    settings = plan.params.train
    with random_streams.untouched():
        made = module(plan, 0, masks(plan, [0]))
        parameter_groups.of(made, ParameterSlices.of(made), settings)
        _check_optimizer(plan)
        count = min(plan.params.train.batch_size, len(plan.train), 8)
        part = slice(0, count)
        with device.autocast(plan.device, plan.params.train.precision):
            inputs = example_batch.moved(plan.train.inputs[part], plan.device)
            targets = plan.train.targets[part].to(plan.device)
            task_interface.probe(plan.task, made, inputs, targets, plan.classes)
            loss_terms.check(plan.task, settings, plan.task.call("loss", made(inputs), targets))
            _check_mixing(plan, made, inputs, targets)
            if plan.soft is not None:
                outputs = made(inputs).detach()
                _check_soft(plan, _one_hot(targets, plan, outputs), outputs, targets, "train.soft_targets")
        task_interface.check_storable(plan.task, made)


def _check_optimizer(plan: TrainingPlan) -> None:
    """Raise UsageError for options of an update rule where the task brings a rule of its own."""
    settings = plan.params.train
    asked = train_section.changed(settings, _OF_RULE)
    if plan.task.optimizer is not None and asked:
        raise plan.task.refuse(
            f"optimizer() decides what train.{asked[0]} says",
            "one of the two, in params.yaml or in the task",
        )


def _check_mixing(plan: TrainingPlan, made: nn.Module, inputs: Any, targets: Tensor) -> None:
    """Raise UsageError where a batch cannot be mixed, or the loss takes no probabilities in place of class numbers."""
    mixing = Mixing.of(plan.params.train, plan.classes)
    if mixing is None:
        return
    option = "train.mixup" if mixing.mixup else "train.cutmix"
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or plan.task.parts is not None:
        raise plan.task.refuse(f"{option} mixes numbers, and these inputs or targets are none", "one Tensor of each")
    if plan.classes is not None and targets.ndim != 1:
        raise plan.task.refuse(f"{option} mixes one class an example, and targets are {tuple(targets.shape)}", "(N,)")
    if mixing.cutmix and inputs.ndim < 3:
        raise plan.task.refuse(f"train.cutmix is for images, and inputs are {tuple(inputs.shape)}", "(B, …, H, W)")
    if plan.classes is not None:
        _check_soft(plan, mixing.soft(targets, inputs.dtype), made(inputs).detach(), targets, option)


def _one_hot(targets: Tensor, plan: TrainingPlan, outputs: Tensor) -> Tensor:
    assert plan.classes is not None
    return functional.one_hot(targets, plan.classes).to(outputs.dtype)


def _check_soft(plan: TrainingPlan, soft: Tensor, outputs: Tensor, targets: Tensor, option: str) -> None:
    """The loss of probabilities that are 0 and 1 is that of the class numbers."""
    assert plan.task.loss is not None
    weights, loss = plan.params.train.loss_weights, plan.task.loss
    try:
        found, wanted = (float(loss_terms.weighed(loss(outputs, one), weights)) for one in (soft, targets))
        said = "" if math.isclose(found, wanted, rel_tol=1e-2, abs_tol=1e-4) else f"gives {found:.4g} for {wanted:.4g}"
    except Exception as error:
        said = f"fails with {task_interface.brief(error)}"
    if said:
        raise plan.task.refuse(
            f"{option} makes probabilities (B, {soft.shape[-1]}) of class numbers (B,), and loss() {said}",
            f"a loss of both, as loss.name: {', '.join(name for name, one in LOSSES.items() if one.soft)}",
        )
