"""What an examination works on: a copy of the model, batches of the doctor's own drawing, the user's functions."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import example_draws, operation_trace, tensor_tree
from assay.doctor.example_draws import ExampleDraws
from assay.doctor.state_restoration import ModuleState, seed_all


class NotApplicableError(Exception):
    """A check cannot look at such a program; the message says why."""


class NotRunError(Exception):
    """A check could look, but something was missing or failed; the message says what."""


@dataclass(frozen=True)
class LossTrace:
    """One forward pass and loss in training mode, with all operations. `first_of_loss` counts those of the model."""

    output: Any
    target: Any
    value: Tensor
    operations: list[operation_trace.Operation]
    first_of_loss: int

    @property
    def of_loss(self) -> list[operation_trace.Operation]:
        return self.operations[self.first_of_loss :]

    def is_target(self, given: Any) -> bool:
        """Whether a loss function was given the batch's own targets, in whatever shape."""
        own = self.target
        if not isinstance(given, Tensor) or not isinstance(own, Tensor) or given.numel() != own.numel():
            return False
        if own.numel() and bool((own == own.flatten()[0]).all()):  # a loss may make such labels itself
            return given.data_ptr() == own.data_ptr()
        return torch.equal(given.detach().flatten().double(), own.detach().flatten().double())

    @property
    def of_model(self) -> list[operation_trace.Operation]:
        return self.operations[: self.first_of_loss]


@dataclass(kw_only=True)
class Subject:
    """Parts of a training program, as `examine` was given them, and a model to try things on."""

    original: nn.Module
    loss: Callable[[Any, Any], Any]
    optimizers: list[Any]
    schedulers: list[Any]
    train_loader: Any
    val_loader: Any
    metric: Callable[[Any, Any], Any] | None = None
    forward: Callable[[nn.Module, Any], tuple[Any, Any]] | None = None
    planned_steps: int | None = None
    task: str | None = None
    batch_dim: int = 0
    pad_id: int | None = None
    scheduler_unit: str | None = None
    accumulate: int = 1
    clip: float | None = None
    budget: int = 120
    train: ExampleDraws = field(default_factory=lambda: ExampleDraws([]))
    validation: ExampleDraws = field(default_factory=lambda: ExampleDraws([]))
    #: what checks share: results by name
    memory: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.process_time)

    def __post_init__(self) -> None:
        try:
            self.model: nn.Module = copy.deepcopy(self.plain)
            self.copied = True
        except Exception:
            self.model, self.copied = self.plain, False
        # deepcopy keeps the order of parameters, and ties between them
        pairs = zip(self.plain.parameters(), self.model.parameters(), strict=True)
        self.twin = {id(own): twin for own, twin in pairs}
        self._materialise()
        self._state = ModuleState(self.model)

    def _materialise(self) -> None:
        if any(nn.parameter.is_lazy(one) for one in self.model.parameters()):
            if not self.copied:
                raise NotRunError("the model has parameters without a shape, and cannot be copied")
            own = list(self.twin)
            self.run(self.batch)
            self.twin = dict(zip(own, self.model.parameters(), strict=True))

    def reset(self) -> None:
        """Put the model back to its first state, and all generators to the doctor's seed."""
        self._state.put_back()
        seed_all()

    @contextmanager
    def started(self, change: Callable[[nn.Module], None]) -> Iterator[None]:
        """While the block runs, `reset` puts back what `change` makes of the model's first state."""
        first = self._state
        self.reset()
        try:
            change(self.model)
            self._state = ModuleState(self.model)
            yield
        finally:
            self._state = first
            self.reset()

    @cached_property
    def plain(self) -> nn.Module:
        """The user's own model, out of what `torch.compile` puts around it."""
        inner: nn.Module = getattr(self.original, "_orig_mod", self.original)
        return inner

    @property
    def batch(self) -> Any:
        if not self.train.batches:
            raise NotRunError(self.train.why or "the loader gave no batch")
        return self.train.batches[0]

    @cached_property
    def device(self) -> torch.device:
        return next((one.device for one in self.model.parameters()), torch.device("cpu"))

    def run(self, batch: Any, seed: int = 0) -> tuple[Any, Any]:
        """(output, target) of one batch, at always the same random numbers for the same seed."""
        seed_all(seed + 1)
        batch = tensor_tree.mapped(lambda one: one.to(self.device), batch)
        if self.forward is not None:
            return self.forward(self.model, batch)
        inputs, target = example_draws.input_and_target(batch)
        if isinstance(inputs, dict):
            return self.model(**inputs), target
        output = self.model(*inputs) if isinstance(inputs, tuple) else self.model(inputs)
        return output, inputs if target is None else target

    def outputs(self, batch: Any) -> list[Tensor]:
        """Tensors that the model returns in evaluation mode, without gradients."""
        self.model.eval()
        with torch.no_grad():
            return [one.detach() for one in tensor_tree.leaves(_fields(self.run(batch)[0]))]

    def said(self, batch: Any) -> list[Tensor]:
        """Tensors that the model returns and the loss of them, in the mode in which the model is, without gradients."""
        with torch.no_grad():
            output, target = self.run(batch)
            return [*tensor_tree.leaves(_fields(output)), torch.as_tensor(self.loss(output, target))]

    def value(self, batch: Any, seed: int = 0) -> Tensor:
        """Loss of one batch, in the mode in which the model is."""
        output, target = self.run(batch, seed)
        found = self.loss(output, target)
        if not isinstance(found, Tensor) or found.numel() != 1:
            raise NotApplicableError("the loss is not one number")
        return found.reshape(())

    @cached_property
    def traced(self) -> LossTrace:
        """The first batch in training mode, dropout and all. Raises what the user's code raises."""
        self.reset()
        self.model.train()
        with self.recorded() as seen:
            output, target = self.run(self.batch)
            first = len(seen.calls)
            value = self.loss(output, target)
        if not isinstance(value, Tensor):
            raise NotApplicableError(f"the loss is {type(value).__name__}, not a tensor")
        return LossTrace(output, target, value, list(seen.calls), first)

    @contextmanager
    def recorded(self) -> Iterator[operation_trace.Operations]:
        with operation_trace.recorded(self.model) as seen:
            yield seen

    @cached_property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Parameters of the model that need a gradient, each once, by their dotted names."""
        return [(name, one) for name, one in self.model.named_parameters() if one.requires_grad]

    @cached_property
    def held(self) -> set[int]:
        """Identities of the parameters that an optimizer holds: of the model's in the copy, else their own."""
        return {id(self.twin.get(id(one), one)) for one in self.given}

    @property
    def given(self) -> list[Tensor]:
        """The user's own parameters in all groups of all optimizers, as often as they stand there."""
        return [one for optimizer in self.optimizers for group in optimizer.param_groups for one in group["params"]]

    def gradients(self, batch: Any, parameters: Sequence[Tensor], seed: int = 0) -> list[Tensor | None]:
        """Gradient of each parameter, None where the loss does not reach it."""
        value = self.value(batch, seed)
        if not value.requires_grad:
            return [None] * len(parameters)
        return list(torch.autograd.grad(value, parameters, allow_unused=True))

    def without_gradient(self, named: Sequence[tuple[str, nn.Parameter]]) -> list[tuple[str, nn.Parameter]]:
        """Those of `named` (names and parameters) that get no gradient from any batch."""
        left = list(named)
        for seed, batch in enumerate(self.train.batches):
            gradients = self.gradients(batch, [one for _, one in left], seed) if left else []
            left = [pair for pair, gradient in zip(left, gradients, strict=True) if gradient is None]
        return left

    def step(self, batch: Any, seed: int) -> None:
        """One step down the gradient by 3 % of each parameter's size (or 0.03, where it is smaller)."""
        names = self.trained
        gradients = self.gradients(batch, [one for _, one in names], seed)
        with torch.no_grad():
            for (_, parameter), gradient in zip(names, gradients, strict=True):
                length = 0.0 if gradient is None else float(gradient.norm())
                if gradient is not None and length > 0 and math.isfinite(length):
                    size = max(float(parameter.norm()), math.sqrt(parameter.numel()) * 0.1)
                    parameter.sub_(gradient, alpha=0.03 * size / length)


def _fields(output: Any) -> Any:
    """A model's output object as a tree of tensors."""
    if isinstance(output, Tensor | list | tuple | dict):
        return output
    return list(vars(output).values()) if hasattr(output, "__dict__") else output
