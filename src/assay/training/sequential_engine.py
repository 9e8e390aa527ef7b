"""One replicate, trained as anyone would: the task's module, autograd, an update."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from assay.core.params_yaml import Params
from assay.training import device, example_batch
from assay.training.dropout import Masks
from assay.training.engine import Engine
from assay.training.task_interface import Task


class Sequential(Engine):
    """An engine of a single lane. The module's parameters are views of `theta`, which the rule updates."""

    execution = "sequential"

    def __init__(
        self, task: Task, modules: Sequence[nn.Module], params: Params, masks: Masks, per_epoch: int = 1
    ) -> None:
        super().__init__(task, modules, params.train, masks, per_epoch)
        (self.module,) = modules
        self.precision = params.train.precision
        self.leaves = [one for one in self.module.parameters() if one.requires_grad]
        for leaf, view, grad in zip(self.leaves, self.layout.views(self.theta), self.grads, strict=True):
            leaf.data = view[0]
            leaf.grad = grad[0]
        self.flat = [grad[0] for grad in self.grads]
        self.lr = params.lr
        self.compiled = device.Compiled(self.module) if params.machine.compile else None
        self.optimizer = _optimizer(task, self.leaves, params) if task.optimizer else None
        self.start = [group["lr"] for group in self.optimizer.param_groups] if self.optimizer else []

    def differentiate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.module.train()
        self.masks.give(None)
        with device.autocast(self.theta.device, self.precision):
            made = (self.compiled or self.module)(device.arranged(example_batch.lane(inputs, 0), self.precision))
            loss = self.loss(made, targets[0])
        total = loss if loss.ndim == 0 else loss[0]
        found = torch.autograd.grad(total, self.leaves, allow_unused=True, materialize_grads=True)
        torch._foreach_copy_(self.flat, [one.to_dense() if one.is_sparse else one for one in found])
        return loss.detach()[None]

    def apply(self, lr: float, step: int) -> None:
        if self.optimizer is None:
            super().apply(lr, step)
            return
        for group, start in zip(self.optimizer.param_groups, self.start, strict=True):
            group["lr"] = start * (lr / self.lr)
        self.optimizer.step()

    def forward(self, inputs: Tensor) -> Tensor:
        self.module.eval()
        with device.autocast(self.theta.device, self.precision):
            made: Tensor = self.module(inputs)
        return made[None]

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.outputs_and_losses(inputs, targets)[1]

    def outputs_and_losses(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.module.eval()
        with device.autocast(self.theta.device, self.precision):
            made: Tensor = self.module(inputs)
            return made.detach()[None], self.loss(made, targets).detach()[None]

    def buffers(self) -> dict[str, Tensor]:
        frozen = {name: one for name, one in self.module.named_parameters() if not one.requires_grad}
        kept = {**frozen, **dict(self.module.named_buffers())}
        return {name: tensor.detach()[None] for name, tensor in kept.items()}

    def lane_copy(self, lane: int) -> nn.Module:
        shared = [self.masks, *self.module.parameters()]
        return copy.deepcopy(self.module, {id(one): one for one in shared}).eval()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "optimizer": self.optimizer.state_dict() if self.optimizer else None}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        if self.optimizer:
            self.optimizer.load_state_dict(state["optimizer"])


def _optimizer(task: Task, leaves: Sequence[Tensor], params: Params) -> torch.optim.Optimizer:
    made: torch.optim.Optimizer = task.call("optimizer", leaves, params)
    try:
        inspect.signature(made.step).bind()
    except (AttributeError, TypeError, ValueError) as error:
        what = f"optimizer() returns {type(made).__name__}, whose step() cannot be called without arguments"
        raise task.refuse(what, "a torch.optim.Optimizer that needs no closure; or write fit()") from error
    return made
