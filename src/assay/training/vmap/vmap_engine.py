"""All lanes in one forward and one backward pass: `vmap` over the task's module.

Covers: stacked parameters and buffers, masks drawn per lane. Not covered: whether the module bears it,
which `trust` finds out before anyone relies on it.

Autograd runs outside of `vmap`: the sum of the lanes' losses has, for each lane, the gradient of its own.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from assay.core.params_yaml import Params, Train
from assay.training import device, loss_terms, optimizers, random_streams
from assay.training.dropout import Masks, Site, StreamDropout
from assay.training.engine import Engine
from assay.training.parameter_updates import ParameterUpdate
from assay.training.schedules import Schedule
from assay.training.task_interface import Task
from assay.training.vmap import batch_norm, embedding

Places = list[list[tuple[dict[str, Any], str]]]


class NotFusable(Exception):
    """The module cannot be trained in lanes; the text says what in it and why."""


@dataclass(frozen=True)
class LaneGroup:
    """Neighbouring lanes with an update rule, step sizes and a largest gradient norm of their own."""

    rows: slice
    settings: Train
    schedule: Schedule


class Fused(Engine):
    """An engine of several lanes."""

    execution = "fused"

    def __init__(
        self,
        task: Task,
        modules: Sequence[nn.Module],
        params: Params,
        masks: Masks,
        per_epoch: int = 1,
        parts: Sequence[LaneGroup] = (),
    ) -> None:
        """`parts`: all lanes, where they differ in how they are updated; else `params` holds for every one."""
        if task.optimizer is not None:
            raise NotFusable(f"optimizer() in {task.file} updates one replicate at a time")
        super().__init__(task, modules, params.train, masks, per_epoch)
        self.precision = params.train.precision
        self.parts = parts
        self.updates = [ParameterUpdate(part.settings, self.groups, per_epoch) for part in parts]
        self.largest = self._largest()
        self.module = modules[0]
        self.leaves = [view.detach().requires_grad_() for view in self.layout.views(self.theta)]
        kept = [_kept(module) for module in modules]
        self.kept = {name: torch.stack([one[name].detach() for one in kept]) for name in kept[0]}
        self.places = _places(self.module, self.layout.names)
        self.kept_places = _places(self.module, tuple(self.kept))
        self.has_dropout = any(isinstance(one, StreamDropout) for one in self.module.modules())
        self._sites: dict[tuple[int, ...], list[Site]] = {}
        self._losses = torch.vmap(self._lane)
        self._both = torch.vmap(self._lane_with_outputs)
        self.compiled = device.Compiled(self._compilable()) if params.machine.compile else None
        embedding.install(self.module)
        if self.compiled is None:  # the compiler has no use for it
            batch_norm.install(self.module)
        self._forward = torch.vmap(self._outputs)

    def differentiate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.module.train()
        masks = [self.masks.draw(site, inputs.device) for site in self.sites(inputs)]
        with device.autocast(self.theta.device, self.precision):
            losses = (self.compiled or self._losses)(self.leaves, [*self.kept.values()], inputs, targets, masks)
        found = torch.autograd.grad(
            loss_terms.minimised(losses).sum(), self.leaves, allow_unused=True, materialize_grads=True
        )
        torch._foreach_copy_(self.grads, list(found))
        return losses.detach()

    def _largest(self) -> Tensor | None:
        """(lanes, 1) largest gradient norms; None where no part clips."""
        if not any(part.settings.clip for part in self.parts):
            return None
        found = torch.full_like(self.theta[:, :1], math.inf)
        for part in self.parts:
            found[part.rows] = part.settings.clip or math.inf
        return found

    def clip(self) -> None:
        if not self.parts:
            super().clip()
        elif self.largest is not None:
            optimizers.clip(self.grad, self.largest)

    def apply(self, lr: float, step: int) -> None:
        if not self.parts:
            super().apply(lr, step)
        for part, update in zip(self.parts, self.updates, strict=True):
            slots = {name: slot[part.rows] for name, slot in self.slots.items()}
            update.apply(self.theta[part.rows], self.grad[part.rows], slots, part.schedule.rate(step), step)

    def forward(self, inputs: Tensor) -> Tensor:
        made: Tensor = self._evaluated(self._forward, inputs)
        return made

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        made: Tensor = self._evaluated(self._losses, inputs, targets)
        return made

    def outputs_and_losses(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = self._evaluated(self._both, inputs, targets)
        return made

    def _evaluated(self, function: Callable[..., Any], *shared: Tensor) -> Any:
        """(lanes, …) of `function` in evaluation mode, of a batch (batch, …) that all lanes share.

        Torch would compute a shared one with the parameters of all lanes at once, and their number changes last bits.
        """
        self.module.eval()
        batch = [one.expand(self.lanes, *one.shape) for one in shared]
        with device.autocast(self.theta.device, self.precision):
            made = function(self.leaves, [*self.kept.values()], *batch)
        return tuple(one.detach() for one in made) if isinstance(made, tuple) else made.detach()

    def buffers(self) -> dict[str, Tensor]:
        return self.kept

    def lane_copy(self, lane: int) -> nn.Module:
        places = [place for one in self.places + self.kept_places for place in one]
        before = [owner[key] for owner, key in places]
        parameters = [leaf[lane].detach() for leaf in self.leaves]
        try:
            self._place(parameters, [one[lane].clone() for one in self.kept.values()])
            return copy.deepcopy(self.module, {id(one): one for one in (self.masks, *parameters)}).eval()
        finally:
            for (owner, key), tensor in zip(places, before, strict=True):
                owner[key] = tensor

    def sites(self, inputs: Tensor) -> list[Site]:
        """Masks that a forward pass over (lanes, batch, …) inputs will ask for, found by trying one lane."""
        if not self.has_dropout:
            return []
        shape = tuple(inputs.shape[1:])
        if shape not in self._sites:
            real = self.masks.generators
            self.masks.generators = [torch.Generator(device=inputs.device)]
            self.masks.give(None)
            with random_streams.untouched(), torch.no_grad():
                self._place([one[0] for one in self.leaves], [one[0].clone() for one in self.kept.values()])
                # On a copy: a module that counts its steps must not count this one.
                copy.deepcopy(self.module, {id(self.masks): self.masks})(inputs[0])
            self._sites[shape] = self.masks.seen
            self.masks.generators = real
        return self._sites[shape]

    def _place(self, parameters: list[Tensor], kept: list[Tensor]) -> None:
        """Put tensors where the module looks for its parameters and buffers, under each of their names."""
        for places, tensor in zip(self.places + self.kept_places, [*parameters, *kept], strict=True):
            for owner, key in places:
                owner[key] = tensor

    def _lane(
        self, parameters: list[Tensor], kept: list[Tensor], inputs: Tensor, targets: Tensor, masks: Any = None
    ) -> Tensor:
        return self._lane_with_outputs(parameters, kept, inputs, targets, masks)[1]

    def _lane_with_outputs(
        self, parameters: list[Tensor], kept: list[Tensor], inputs: Tensor, targets: Tensor, masks: Any = None
    ) -> tuple[Tensor, Tensor]:
        made = self._outputs(parameters, kept, inputs, masks)
        return made, self.loss(made, targets)

    def _compilable(self) -> Callable[..., Tensor]:
        """The training pass in public terms: the compiler does not follow tensors put into a module by hand."""
        names = [*self.layout.names, *self.kept]

        def lane(parameters: list[Tensor], kept: list[Tensor], inputs: Tensor, targets: Tensor, masks: Any) -> Tensor:
            self.masks.give(masks)
            tensors = dict(zip(names, [*parameters, *kept], strict=True))
            made = functional_call(self.module, tensors, (inputs,))
            self.masks.give([])  # a mask of lanes must not outlive them
            return self.loss(made, targets)

        together = torch.vmap(lane)
        return lambda *stacked: together(*stacked)

    def _outputs(
        self, parameters: list[Tensor], kept: list[Tensor], inputs: Tensor, masks: list[Tensor] | None = None
    ) -> Tensor:
        self._place(parameters, kept)
        self.masks.give(masks or [])
        made: Tensor = self.module(inputs)
        for name, places, tensor in zip(self.kept, self.kept_places, kept, strict=True):
            if any(owner[key] is not tensor for owner, key in places):
                raise NotFusable(f"its forward pass assigns a new tensor to {name!r} instead of changing it in place")
        return made


def _kept(module: nn.Module) -> dict[str, Tensor]:
    """Frozen parameters and buffers by name."""
    frozen = {name: one for name, one in module.named_parameters() if not one.requires_grad}
    return {**frozen, **dict(module.named_buffers())}


def _places(module: nn.Module, names: Sequence[str]) -> Places:
    """Where each named tensor hangs in the module; tied tensors hang in several places."""
    found: dict[int, list[tuple[dict[str, Any], str]]] = {}
    named: dict[str, int] = {}
    for prefix, owner in module.named_modules(remove_duplicate=True):
        for table in (owner._parameters, owner._buffers):
            for key, tensor in table.items():
                if tensor is not None:
                    found.setdefault(id(tensor), []).append((table, key))
                    named[f"{prefix}.{key}" if prefix else key] = id(tensor)
    return [found[named[name]] for name in names]
