"""Training and evaluation mode around the steps: evaluation that leaves the model in evaluation mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.rnn import RNNBase

from assay.doctor import user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, WatchedOptimizer
from assay.doctor.subject import NotApplicableError

#: steps in evaluation mode after which it was no accident
ENOUGH = 5


@dataclass
class Modes:
    """Steps of one model in evaluation mode, and the line that put it into that mode last."""

    trains_first: bool
    evaluating: int = 0
    left_at: str = ""
    blamed: str = ""


class ModeMonitor(LoopMonitor):
    """Steps in evaluation mode of a model whose first step was in training mode."""

    EVENTS = ("mode",)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.modes: dict[int, tuple[nn.Module, Modes]] = {}

    def checks(self) -> list[LoopCheck]:
        return [LoopCheck("modes-restored", "modes-layers", 95, self._not_restored)]

    def step_ended(self, held: WatchedOptimizer) -> None:
        if held.root is not None and id(held.root) not in self.modes:
            self.modes[id(held.root)] = (held.root, Modes(trains_first=held.root.training))

    def stepped_in_evaluation(self, held: WatchedOptimizer) -> None:
        known = self.modes.get(id(held.root))
        if known is not None and known[1].trains_first:
            known[1].evaluating += 1
            known[1].blamed = known[1].left_at

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name != "mode" or not arguments or arguments[0].training:
            return
        known = self.modes.get(id(arguments[0]))
        if known is not None:
            known[1].left_at = user_frames.place()

    def _not_restored(self) -> list[Problem]:
        if not self.modes:
            raise NotApplicableError("no module holds the optimizer's parameters")
        if self.loop.evaluates_with_steps:
            raise NotApplicableError("steps in evaluation mode are made on other batches than those in training mode")
        return [
            Problem(
                places=[modes.blamed],
                reason="after evaluation the model goes on training in evaluation mode: no dropout, and BatchNorm "
                "with old statistics",
                measured=f"{modes.evaluating} of {self.loop.steps} steps in evaluation mode",
                threshold="none",
                next_step="call model.train() after each evaluation",
            )
            for root, modes in self.modes.values()
            if modes.evaluating >= ENOUGH and depends_on_mode(root)
        ]


def depends_on_mode(root: nn.Module) -> bool:
    return any(_differs(module) for module in root.modules())


def _differs(module: nn.Module) -> bool:
    """Whether a module computes something else in evaluation mode."""
    if isinstance(module, _DropoutNd | RNNBase | nn.MultiheadAttention):
        rate = getattr(module, "p", getattr(module, "dropout", 0.0))
        return isinstance(rate, float) and rate > 0
    if isinstance(module, _BatchNorm | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.RReLU):
        return True
    code = getattr(type(module).forward, "__code__", None)
    own = not type(module).__module__.startswith("torch.")
    return own and code is not None and "training" in code.co_names
