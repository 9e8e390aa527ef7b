"""One interface to several trainings at once: a lane is a replicate.

All parameters of a lane lie in one row of `theta`, so that an update rule, clipping and the search for
non-finite numbers are a few operations, however many layers and replicates there are. Every parameter
starts at a multiple of 16 numbers, so that vector instructions meet each lane alike.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from assay.core.params_yaml import Train
from assay.training import example_batch, optimizers, random_streams
from assay.training.device import Compiled
from assay.training.dropout import Masks
from assay.training.example_batch import Batch
from assay.training.model_inputs import Inputs
from assay.training.task_interface import Task

ALIGN = 16
#: batches in one forward pass without gradients: it takes less memory than training on one, and as long as on many
EVALUATE = 2


class Place(NamedTuple):
    """Where a trained parameter lies in a row of `theta`. A complex number is two real ones, as in `torch.optim`."""

    name: str
    shape: tuple[int, ...]  # of real numbers
    start: int
    is_complex: bool

    def view(self, rows: Tensor) -> Tensor:
        part = rows[:, self.start : self.start + math.prod(self.shape)].view(len(rows), *self.shape)
        return torch.view_as_complex(part) if self.is_complex else part


@dataclass(frozen=True)
class ParameterSlices:
    """Where each trained parameter lies in a row of `theta`."""

    places: tuple[Place, ...]
    width: int  # numbers in a row, padding included

    @classmethod
    def of(cls, module: nn.Module) -> ParameterSlices:
        places: list[Place] = []
        width = 0
        for name, one in module.named_parameters():
            if one.requires_grad:
                shape = (*one.shape, 2) if one.is_complex() else tuple(one.shape)
                places.append(Place(name, shape, width, one.is_complex()))
                width += -(-math.prod(shape) // ALIGN) * ALIGN
        return cls(tuple(places), width)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.places)

    def views(self, rows: Tensor) -> list[Tensor]:
        """(lanes, *shape) views into `rows` (lanes, width), one a parameter."""
        return [one.view(rows) for one in self.places]


class Engine(ABC):
    """Lanes in training. Subclasses say how a loss and its gradient come about."""

    execution: str
    compiled: Compiled | None = None  # what the step runs through, where machine.compile is on

    def __init__(self, task: Task, modules: Sequence[nn.Module], settings: Train, masks: Masks) -> None:
        self.task = task
        self.settings = settings
        self.masks = masks
        self.layout = ParameterSlices.of(modules[0])
        self.saved = frozenset(modules[0].state_dict(keep_vars=True))
        first = next(one for one in modules[0].parameters() if one.requires_grad)
        self.theta = torch.zeros(len(modules), self.layout.width, dtype=first.dtype.to_real(), device=first.device)
        self.grad = torch.zeros_like(self.theta)
        for lane, module in enumerate(modules):
            given = dict(module.named_parameters())
            for name, view in zip(self.layout.names, self.layout.views(self.theta), strict=True):
                view[lane].copy_(given[name].detach())
        self.grads = self.layout.views(self.grad)
        self.freeze: Tensor | None = None  # (lanes,) lanes whose gradients no longer count
        self.rule = optimizers.rule(settings)
        self.slots = self.rule.start(self.theta)
        self.portion = EVALUATE * settings.batch_size  # whatever the lanes: its size can change last bits

    @property
    def lanes(self) -> int:
        return len(self.theta)

    @abstractmethod
    def differentiate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(lanes,) losses of a batch (lanes, batch, …) in training mode; gradients go to `grad`."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """(lanes, batch, …) outputs for inputs (batch, …) that all lanes share, in evaluation mode."""

    @abstractmethod
    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(lanes,) losses of a batch (batch, …) that all lanes share, in evaluation mode."""

    @abstractmethod
    def buffers(self) -> dict[str, Tensor]:
        """What the model keeps besides trained parameters, (lanes, …) each: the very storage, not a copy."""

    def step(self, inputs: Tensor, targets: Tensor, lr: float, step: int) -> Tensor:
        """One training step of all lanes; their (lanes,) losses. `step` counts from 1."""
        losses = self.differentiate(inputs, targets)
        if self.freeze is not None:
            self.grad.masked_fill_(self.freeze[:, None], 0.0)
        self.clip()
        self.apply(lr, step)
        return losses

    def clip(self) -> None:
        if self.settings.clip:
            optimizers.clip(self.grad, self.settings.clip)

    def apply(self, lr: float, step: int) -> None:
        self.rule.update(self.theta, self.grad, self.slots, lr, step)

    def mean_losses(self, inputs: Inputs, targets: Tensor) -> Tensor:
        """(lanes,) mean loss over all examples."""
        total, place = torch.zeros(self.lanes, dtype=torch.float64), self.theta.device
        with torch.no_grad(), random_streams.untouched():
            for start in range(0, len(targets), self.portion):
                part = slice(start, start + self.portion)
                found = self.losses(example_batch.moved(inputs[part], place), targets[part].to(place)).double().cpu()
                total += found * len(targets[part])
        return total / len(targets)

    def outputs(self, inputs: Inputs) -> Tensor:
        """(lanes, N, …) outputs for N examples, on the host."""
        return torch.cat([part for _, part in self.portions(inputs)], dim=1)

    def portions(self, inputs: Inputs) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and (lanes, rows, …) outputs for them, on the host: as many at a time as memory is meant for."""
        for start in range(0, len(inputs), self.portion):
            part = slice(start, start + self.portion)
            with random_streams.untouched():
                made = self.batch_outputs(inputs[part])
            yield part, made

    def batch_outputs(self, batch: Batch) -> Tensor:
        """(lanes, B, …) outputs for one batch, on the host."""
        with torch.no_grad():
            return self.forward(example_batch.moved(batch, self.theta.device)).float().cpu()

    def weights(self, lane: int) -> dict[str, Tensor]:
        """Parameters and buffers of one lane by name, on the host, in the names of `state_dict`: plain copies, however
        they lay in memory."""
        found = {name: view[lane] for name, view in zip(self.layout.names, self.layout.views(self.theta), strict=True)}
        found |= {name: buffer[lane] for name, buffer in self.buffers().items() if name in self.saved}
        return {name: plain(tensor) for name, tensor in found.items()}

    def state(self) -> dict[str, Any]:
        """What training changes: for a checkpoint."""
        generators = [one.get_state() for one in self.masks.generators]
        return {"theta": self.theta, "slots": self.slots, "buffers": self.buffers(), "dropout": generators}

    def restore(self, state: dict[str, Any]) -> None:
        self.theta.copy_(state["theta"])
        for mine, kept in ((self.slots, state["slots"]), (self.buffers(), state["buffers"])):
            for name, tensor in kept.items():
                mine[name].copy_(tensor)
        for generator, kept in zip(self.masks.generators, state["dropout"], strict=True):
            generator.set_state(kept)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Take `weights`, as `weights()` gave them, into every lane."""
        rows = dict(zip(self.layout.names, self.layout.views(self.theta), strict=True)) | self.buffers()
        for name, tensor in weights.items():
            rows[name].copy_(tensor)


def plain(tensor: Tensor) -> Tensor:
    """A copy on the host, number after number: a file holds neither strides nor the bits of `conj()`."""
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().clone()
