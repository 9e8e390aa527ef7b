"""One interface to several trainings at once: a lane is a replicate, its parameters a row of `theta`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from assay.core.params_yaml import Train
from assay.training import example_batch, optimizers, parameter_groups, random_streams
from assay.training.device import Compiled
from assay.training.dropout import Masks
from assay.training.example_batch import Batch
from assay.training.loss_terms import LossTerms
from assay.training.model_inputs import Inputs
from assay.training.parameter_layout import ParameterSlices
from assay.training.parameter_updates import ParameterUpdate
from assay.training.task_interface import Task

#: batches in one forward pass without gradients: it takes less memory than training on one, and as long as on many
EVALUATE = 2


class BatchShare(NamedTuple):
    """A batch among those whose gradients make one step."""

    share: float  # of the examples of the step
    last: bool  # whether the step is taken with it


#: told of rows and their outputs (lanes, rows, …)
Seen: TypeAlias = Callable[[slice, Tensor], None]

#: a batch that is a step of its own
WHOLE = BatchShare(1.0, True)


class Engine(ABC):
    """Lanes in training. Subclasses say how a loss and its gradient come about."""

    execution: str
    compiled: Compiled | None = None  # what the step runs through, where machine.compile is on

    def __init__(self, task: Task, modules: Sequence[nn.Module], settings: Train, masks: Masks, per_epoch: int) -> None:
        """`per_epoch`: steps of an epoch."""
        self.task = task
        self.settings = settings
        assert task.loss is not None
        self.loss = LossTerms(task.loss, settings.loss_weights)
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
        self.groups = parameter_groups.of(modules[0], self.layout, settings)
        self.per_epoch = per_epoch
        self.update = ParameterUpdate(settings, self.groups, per_epoch)
        self.slots = self.update.start(self.theta)
        #: gradients of the batches so far of a step of several
        self.collected = torch.zeros_like(self.grad) if settings.accumulate > 1 else None
        #: running mean of `theta`; None where there is none, and before the first step
        self.average: Tensor | None = None
        self.portion = EVALUATE * settings.batch_size  # whatever the lanes: its size can change last bits

    @property
    def lanes(self) -> int:
        return len(self.theta)

    @abstractmethod
    def differentiate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(lanes,) losses of a batch (lanes, batch, …) in training mode; gradients go to `grad`.

        Losses with terms are (lanes, 1 + T) here and in all that follows: what is minimised, then each term.
        """

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """(lanes, batch, …) outputs for inputs (batch, …) that all lanes share, in evaluation mode."""

    @abstractmethod
    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(lanes,) losses of a batch (batch, …) that all lanes share, in evaluation mode."""

    @abstractmethod
    def outputs_and_losses(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(lanes, batch, …) outputs and the same losses as `losses`, of one forward pass."""

    @abstractmethod
    def buffers(self) -> dict[str, Tensor]:
        """What the model keeps besides trained parameters, (lanes, …) each: the very storage, not a copy."""

    @abstractmethod
    def lane_copy(self, lane: int) -> nn.Module:
        """The module of one lane in evaluation mode, with whatever it keeps beside its tensors copied: a forward pass
        of it changes nothing here. Its parameters are those of the lane, in the same memory."""

    def step(self, inputs: Tensor, targets: Tensor, lr: float, step: int, batch: BatchShare = WHOLE) -> Tensor:
        """One batch of all lanes, and a training step with the last batch of one; (lanes,) losses.

        `step` counts from 1.
        """
        losses = self.differentiate(inputs, targets)
        if self.collected is None or self._collect(self.collected, batch):
            self.update.prepare(self.theta, self.grad, step)
            if self.freeze is not None:
                self.grad.masked_fill_(self.freeze[:, None], 0.0)
            self.clip()
            self.apply(lr, step)
            if self.settings.ema_decay:
                self._take_average()
        return losses

    def _collect(self, collected: Tensor, batch: BatchShare) -> bool:
        """Add the gradient of a batch to those before it; with the last, `grad` is that of all. Whether it was."""
        collected.add_(self.grad, alpha=batch.share)
        if batch.last:
            self.grad.copy_(collected)
            collected.zero_()
        return batch.last

    def _take_average(self) -> None:
        """Running mean of the weights (Polyak & Juditsky 1992), as torch's AveragedModel with get_ema_multi_avg_fn."""
        if self.average is None:
            self.average = self.theta.clone()
        else:
            self.average.lerp_(self.theta, 1 - self.settings.ema_decay)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """The weights that are judged and kept in place of those that train on, where there is a running mean."""
        if self.average is None:
            yield
            return
        training = self.theta.clone()
        self.theta.copy_(self.average)
        try:
            yield
        finally:
            self.theta.copy_(training)

    def clip(self) -> None:
        if self.settings.clip:
            optimizers.clip(self.grad, self.settings.clip)

    def apply(self, lr: float, step: int) -> None:
        self.update.apply(self.theta, self.grad, self.slots, lr, step)

    def mean_losses(self, inputs: Inputs, targets: Tensor, seen: Seen | None = None) -> Tensor:
        """(lanes,) mean loss over all examples; `seen` is given the rows and outputs (lanes, rows, …) of each batch."""
        total, place = torch.zeros(self.lanes, 1, dtype=torch.float64), self.theta.device
        with torch.no_grad(), random_streams.untouched():
            for start in range(0, len(targets), self.portion):
                part = slice(start, start + self.portion)
                batch = example_batch.moved(inputs[part], place), targets[part].to(place)
                if seen is None:
                    found = self.losses(*batch)
                else:
                    made, found = self.outputs_and_losses(*batch)
                    seen(part, made)
                found = found.double().cpu()
                total = total + found.reshape(self.lanes, -1) * len(targets[part])
        mean = total / len(targets)
        return mean if self.loss.names else mean[:, 0]

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
        found = {"theta": self.theta, "slots": self.slots, "buffers": self.buffers(), "dropout": generators}
        more = {"collected": self.collected, "average": self.average}
        return found | {name: tensor for name, tensor in more.items() if tensor is not None}

    def restore(self, state: dict[str, Any]) -> None:
        self.theta.copy_(state["theta"])
        if self.collected is not None:
            self.collected.copy_(state["collected"])
        if "average" in state:
            self.average = state["average"].to(self.theta.device, copy=True)
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
