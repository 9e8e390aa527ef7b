"""State of a watched loop: its optimizers, losses, batches and steps, as the monitors share it."""

from __future__ import annotations

import math
import weakref
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import tensor_tree, user_frames

#: steps that are watched in full at the beginning; later, WINDOW of each PERIOD steps are
FIRST, PERIOD, WINDOW = 60, 600, 4
#: of the first steps, those at which what is dear is looked at, too: the first few, then one of so many
CLOSE, SPARSE = 5, 8


@dataclass(eq=False)
class WatchedOptimizer:
    """One optimizer in the loop, with what monitors note of its parameters. `line` is that of its last step."""

    name: str
    parameters: list[nn.Parameter]
    adaptive: bool
    remembers: bool
    made_at: str = ""
    steps: int = 0
    backwards: int = 0
    closure: bool = False
    gradient_norm: float | None = None
    #: what happened to the gradient between backward() and step(), as a factor of its norm
    scaled_by: float | None = None
    line: str = ""
    root: nn.Module | None = None
    names: dict[int, str] = field(default_factory=dict)
    #: the optimizer itself: what is noted of it goes when it goes
    reference: Any = None
    #: what `gradient_monitor` notes of it
    gradients: Any = None

    def named(self, parameters: Sequence[nn.Parameter]) -> list[str]:
        """Dotted names of parameters, those that are unknown left out."""
        return [self.names[id(one)] for one in parameters if id(one) in self.names]


@dataclass
class LossSeries:
    """Losses of one `backward` in the user's code, in order."""

    line: str
    values: array[float] = field(default_factory=lambda: array("d"))


@dataclass
class RootCall:
    """One forward pass of the watched model: what it was given and returned, and in which mode."""

    inputs: tuple[Any, ...]
    named: dict[str, Any]
    output: Any
    training: bool
    with_gradient: bool

    @cached_property
    def tensors(self) -> list[Tensor]:
        """Tensors that the model was given."""
        return list(tensor_tree.leaves([*self.inputs, self.named]))

    @cached_property
    def addresses(self) -> set[int]:
        """Where they lie in memory."""
        return {one.data_ptr() for one in self.tensors if one.numel()}

    def without_graph(self) -> RootCall:
        """The same without the output and without graphs, which would keep memory until the next call."""
        inputs, named = self.inputs, self.named
        if any(one.requires_grad for one in self.tensors):
            inputs, named = tensor_tree.mapped(Tensor.detach, (inputs, named))
        return RootCall(inputs, named, None, self.training, self.with_gradient)


@dataclass
class DrawnBatch:
    """The last batch that a DataLoader gave."""

    loader: Any
    tensors: list[Tensor]


@dataclass(eq=False)
class Loop:
    """All that is known of the loop. `full` says whether this step is watched in full."""

    model: nn.Module | None
    given: list[Any]
    train_loader: Any
    val_loader: Any
    planned_steps: int | None
    full: bool = True
    steps: int = 0
    optimizers: dict[int, WatchedOptimizer] = field(default_factory=dict)
    seen: int = 0
    series: dict[Any, LossSeries] = field(default_factory=dict)
    root: nn.Module | None = None
    call: RootCall | None = None
    batch: DrawnBatch | None = None
    drawn: Counter[int] = field(default_factory=Counter)
    backward_line: str = ""
    scaled: tuple[Tensor, Tensor] | None = None
    made: dict[int, str] = field(default_factory=dict)
    targets: list[tuple[Any, Tensor]] = field(default_factory=list)
    evaluating: bool = False
    #: whether steps in evaluation mode, on batches of their own, take turns with those in training mode
    evaluates_with_steps: bool = False

    def watched(self, optimizer: Any) -> WatchedOptimizer | None:
        """What is noted of an optimizer; None where it is none of those that were asked for."""
        known = self.optimizers.get(id(optimizer))
        if known is None:
            if self.given and not any(one is optimizer for one in self.given):
                return None
            held = [one for group in optimizer.param_groups for one in group["params"]]
            if self.model is not None and not self.given:
                own = {id(one) for one in self.model.parameters()}
                if not any(id(one) in own for one in held):
                    return None
            adaptive = _is_adaptive(optimizer)
            remembers = adaptive or any(group.get("momentum") for group in optimizer.param_groups)
            known = WatchedOptimizer(type(optimizer).__name__, held, adaptive, remembers)
            known.made_at = self.made.pop(id(optimizer), "")
            key = id(optimizer)
            self.optimizers[key] = known
            known.reference = weakref.ref(optimizer, lambda _: self.optimizers.pop(key, None))
            self.seen += 1
        elif self.full and sum(len(group["params"]) for group in optimizer.param_groups) != len(known.parameters):
            known.parameters = [one for group in optimizer.param_groups for one in group["params"]]
        return known

    def all_watched(self) -> list[WatchedOptimizer]:
        return list(self.optimizers.values())

    def find_root(self, watched: WatchedOptimizer) -> None:
        """The module that holds most of an optimizer's parameters: the outermost of those in the user's frames."""
        ids = {id(one) for one in watched.parameters}
        candidates = [self.model] if self.model is not None else self.modules
        best, most = None, (0, 0)
        for module in candidates:
            held = [id(one) for one in module.parameters()] if module is not None else []
            rank = (len(ids.intersection(held)), len(held))
            if rank[0] and rank > most:
                best, most = module, rank
        watched.root = best
        if best is not None:
            watched.names = {id(one): name for name, one in best.named_parameters()}
            self.root = self.root if self.root is not None else best

    @cached_property
    def modules(self) -> list[nn.Module]:
        """Modules in the user's frames at the first step."""
        return user_frames.modules()

    def forget(self) -> None:
        """Let go of the user's tensors and modules once the report is made."""
        self.call = self.batch = self.scaled = self.root = self.model = None
        self.targets, self.given = [], []
        self.optimizers.clear()
        self.__dict__.pop("modules", None)

    @property
    def planned(self) -> int:
        """Steps that were planned; where nobody said, those that were made."""
        return max(self.planned_steps or 0, self.steps)

    def single_series(self) -> LossSeries | None:
        """The losses of a loop with one optimizer and one `backward`; None for other loops."""
        return next(iter(self.series.values())) if len(self.series) == 1 and self.seen == 1 else None

    def close(self, step: int) -> bool:
        """Whether gradients, graphs and outputs of this step are looked at; asked only where it is watched in full."""
        return step < CLOSE or step % SPARSE == 0 or self.steps >= FIRST

    def until_full(self) -> int:
        """How many steps are left before one that is watched in full."""
        return max(PERIOD - WINDOW - (self.steps - FIRST) % PERIOD, 0) if self.steps >= FIRST else 0

    def next_full(self) -> bool:
        """Whether the step that follows is watched in full."""
        return self.steps < FIRST or (self.steps - FIRST) % PERIOD >= PERIOD - WINDOW


def _is_adaptive(optimizer: Any) -> bool:
    """Whether a constant factor of the gradient changes nothing: Adam's family and its like."""
    name = type(optimizer).__name__.lower()
    return any(word in name for word in ("ada", "adam", "rms", "rprop", "lion", "lamb", "lbfgs", "muon", "prodigy"))


def gradient_norms(gradients: Sequence[Tensor]) -> list[Tensor]:
    """Norm of each gradient, as tensors: nothing waits for a GPU here. Sparse ones are left out."""
    dense = [one.detach() for one in gradients if one.layout == torch.strided]
    if not dense:
        return []
    if len({(one.device, one.dtype) for one in dense}) == 1:
        return list(torch._foreach_norm(dense))
    return [torch.linalg.vector_norm(one) for one in dense]


def total(norms: Sequence[Tensor]) -> float:
    """Norm of all gradients together, in float64 as a number: waits for a GPU."""
    return math.sqrt(sum(norm.item() ** 2 for norm in norms))
