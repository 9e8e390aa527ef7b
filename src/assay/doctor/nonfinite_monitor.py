"""NaN and infinity in the loss, a gradient or a weight: where they began, and with which example."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from assay.doctor import autograd_graph, forward_replay, tensor_tree, user_frames
from assay.doctor.check_results import Problem
from assay.doctor.forward_replay import ReplayFault
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, LossSeries, RootCall, WatchedOptimizer
from assay.doctor.operation_trace import placed


@dataclass
class NonFinite:
    """What is known of the first non-finite value of a run."""

    what: str
    step: int
    line: str
    places: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class NonFiniteMonitor(LoopMonitor):
    """The first non-finite loss, gradient or weight. `pending` until a step was made with it."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.first: NonFinite | None = None
        self.pending = False
        self._confirmed = False

    def checks(self) -> list[LoopCheck]:
        return [LoopCheck("non-finite", "in-flight", 99, self._found, without_steps=True)]

    def noticed(self, value: float, loss: Tensor | None, series: LossSeries) -> None:
        """A loss that is not finite; `loss` is None where it was read later."""
        if self._confirmed or self.pending:
            return
        self.pending = True
        self.first = NonFinite(f"the loss is {value}", self.loop.steps, user_frames.place() or series.line)
        try:
            self._diagnose(self.first, loss)
        except Exception as error:  # a model that cannot be copied or called again
            self.first.told.append(f"where it began could not be found ({type(error).__name__}: {error})")

    def stepped(self) -> None:
        self._confirmed, self.pending = self._confirmed or self.pending, False

    def step_begins(self, held: WatchedOptimizer) -> None:
        norm = held.gradient_norm
        if self._confirmed or self.pending or norm is None or math.isfinite(norm):
            return
        bad = [one for one in held.parameters if one.grad is not None and not tensor_tree.finite(one.grad)]
        if not bad:  # a norm that overflows is not a gradient that does
            return
        self.pending = True
        self.first = NonFinite("a gradient is not finite, though the loss is", self.loop.steps, held.line)
        named = held.named(bad)
        self.first.told.append(f"{len(bad)} of {len(held.parameters)} parameters")
        try:
            self._replay(self.first)
        except Exception as error:
            self.first.told.append(f"where it began could not be found ({type(error).__name__}: {error})")
        self.first.places += named[:1]

    def _diagnose(self, found: NonFinite, loss: Tensor | None) -> None:
        fault = None if loss is None else autograd_graph.first_nonfinite(loss)
        if loss is not None and self.loop.root is None:  # before the first step
            self.loop.root = _holder(loss)
        weight = self._weight()
        if weight:
            found.what += ", because a weight is not finite"
            found.places.append(weight)
            found.told.append("an earlier gradient or step was not finite")
            return
        if self._replay(found):
            return
        if fault is not None:
            module = self._module_of(fault.after)
            kind = "the input of" if fault.kind == "input" else "operation"
            found.told.append(f"forward, {kind} {fault.operation}{f', after {module}' if module else ''}")
            found.places += [module] if module else []
            if fault.rows:
                found.told.append(f"example {', '.join(map(str, fault.rows[:5]))} of the batch")
        if loss is not None:
            self._loss_term(found, loss)

    def _weight(self) -> str:
        for root in {id(one.root): one.root for one in self.loop.all_watched()}.values():
            for name, one in root.named_parameters() if root is not None else ():
                if not tensor_tree.finite(one):
                    return name
        return ""

    def _replay(self, found: NonFinite) -> bool:
        """Whether running the model again on a copy shows where it began."""
        root, call = self.loop.root, self.loop.call
        if root is None or call is None:
            return False
        at = _bad_inputs(call)
        fault = forward_replay.replay(root, call)
        if fault is None and not at:
            return False
        if fault is not None:
            self._tell_fault(found, fault)
        rows = tensor_tree.rows([call.inputs, call.named], 0)
        if at:
            found.told.append("the model was given it in its inputs")
        elif fault is not None and fault.direction == "forward" and not fault.rows and rows:
            one = forward_replay.guilty_example(root, call, rows)
            at = [] if one is None else [one]
        at = at or ([] if fault is None else fault.rows)
        if at:
            found.told.append(f"example {', '.join(map(str, at[:5]))} of the batch")
        return True

    def _tell_fault(self, found: NonFinite, fault: ReplayFault) -> None:
        found.told.append(f"{fault.direction}, operation {fault.operation} in {fault.module}")
        if fault.line and fault.line != found.line:
            found.places.insert(0, found.line)
            found.line = fault.line
        found.places.insert(0, fault.module)

    def _module_of(self, parameter: Tensor | None) -> str:
        root = self.loop.root
        for name, module in root.named_modules() if root is not None and parameter is not None else ():
            if any(one is parameter for one in module.parameters(recurse=False)):
                return placed(name, module)
        return ""

    def _loss_term(self, found: NonFinite, loss: Tensor) -> None:
        nodes = set(autograd_graph.forward_order(loss))
        for name, value in user_frames.numbers_named():
            if isinstance(value, nn.Parameter) or not isinstance(value, Tensor) or value.numel() != 1:
                continue
            if value.grad_fn in nodes and value.grad_fn is not loss.grad_fn and not tensor_tree.finite(value):
                found.told.append(f"loss term {name}")
                return

    def _found(self) -> list[Problem]:
        one = self.first
        if one is None or not (self._confirmed or self.pending):
            return []
        told = f": {'; '.join(one.told)}" if one.told else ""
        return [
            Problem(
                places=[one.line, *dict.fromkeys(one.places)],
                reason=f"{one.what}, at step {one.step + 1}{told}",
                next_step="look at that operation and example: keep its input within its domain, or lower the rate",
            )
        ]


def _holder(loss: Tensor) -> nn.Module | None:
    """The module in the user's frames that holds most of the parameters that a loss reaches."""
    nodes = autograd_graph.forward_order(loss)
    ids = {id(one) for node in nodes if (one := getattr(node, "variable", None)) is not None}
    ranked = [(len(ids & {id(p) for p in one.parameters()}), one) for one in user_frames.modules()]
    count, best = max(ranked, key=lambda pair: pair[0], default=(0, None))
    return best if count else None


def _bad_inputs(call: RootCall) -> list[int]:
    """Rows of the model's inputs that hold a NaN."""
    found: Any = [one for one in call.tensors if one.is_floating_point() and bool(one.isnan().any())]
    return (autograd_graph.bad_rows(found[0].isnan()) or [0]) if found else []
