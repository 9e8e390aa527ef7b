"""States that are kept and restored, and running averages: a copy that is no copy, an average that never arrives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from assay.doctor import user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.operation_trace import placed
from assay.doctor.subject import NotApplicableError, NotRunError

#: share of its first value that an average still holds, from which on it lags
LAGGING = 0.8
#: steps of a run that is long enough to say so
LONG_ENOUGH = 100
#: steps at which an average of the weights is compared with them
FROM, TO = 10, 50


class StateMonitor(LoopMonitor):
    """`load_state_dict` of the model's own tensors; averages of weights and of BatchNorm that lag behind."""

    EVENTS = ("mode", "taken", "restored")

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.taken: dict[int, tuple[int, str]] = {}
        self.own: list[Problem] = []
        self.averages: list[tuple[str, nn.Module]] | None = None
        self.before: dict[str, tuple[Tensor, Tensor]] = {}
        self.decays: dict[str, float] = {}
        self.evaluated = False

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("restores-itself", "modes-layers", 97, self._restored_itself),
            LoopCheck("averages-lag", "modes-layers", 80, self._lags, level="warning"),
        ]

    def called(self, call: RootCall) -> None:
        self.evaluated = self.evaluated or not call.training

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "mode" and arguments and not arguments[0].training:
            self.evaluated = True
        elif name == "taken" and self.loop.root is not None and arguments[0] is self.loop.root:
            self.taken[id(result)] = (self.loop.steps, user_frames.place())
        elif name == "restored" and len(arguments) > 1:
            self._restored(arguments[0], arguments[1])

    def _restored(self, module: nn.Module, state: Any) -> None:
        own = {one.data_ptr() for one in module.parameters() if one.numel()}
        given = [one for one in getattr(state, "values", list)() if isinstance(one, Tensor) and one.numel()]
        held = sum(one.data_ptr() in own for one in given)
        step, line = self.taken.get(id(state), (-1, ""))
        if not own or held < len(own) or not self.loop.steps or step == self.loop.steps:
            return
        if not any(module is one.root for one in self.loop.all_watched()):
            return
        self.own.append(
            Problem(
                places=[user_frames.place(), line],
                reason="the state that is restored is no copy: it holds the model's own tensors, which training has "
                "changed since, so that nothing is restored",
                measured=f"{held} of {len(given)} tensors are the model's own",
                threshold="none",
                next_step="keep copy.deepcopy(model.state_dict())",
            )
        )

    def _restored_itself(self) -> list[Problem]:
        return self.own[:1]

    # averages

    def step_ended(self, held: WatchedOptimizer) -> None:
        root = held.root
        if root is None or root is not self.loop.root:
            return
        if self.averages is None:
            self.averages = [one for one in _candidates(root, self.loop.modules) if not _shares(one[1], root)]
        if held.steps in (FROM, TO):
            for name, module in self.averages:
                self._compare(name, module, root, held.steps)

    def _compare(self, name: str, module: nn.Module, root: nn.Module, steps: int) -> None:
        average, weights = _flat(module, root), _flat(root, root)
        if average is None or weights is None:
            return
        if steps == FROM:
            self.before[name] = (average, weights)
        elif name in self.before:
            first, start = self.before[name]
            moved, way = average - first, (start + weights) / 2 - first
            length = float(way @ way)
            if length > 0 and bool((moved != 0).any()):
                share = float(moved @ way) / length / (TO - FROM)  # of the way, in one step
                self.decays[name] = 1 - share

    def _lags(self) -> list[Problem]:
        planned = self.loop.planned
        if planned < LONG_ENOUGH:
            raise NotRunError(f"fewer than {LONG_ENOUGH} steps")
        found = [
            _lagging(name, "weights", decay, planned)
            for name, decay in self.decays.items()
            if 0.9 < decay < 1 and decay**planned > LAGGING
        ]
        root = self.loop.root
        for name, module in self.averages or []:
            if name in self.decays and not module.training and any(_untouched(one) for one in module.modules()):
                found.append(
                    Problem(
                        places=[name],
                        reason="an average of the weights is evaluated with BatchNorm statistics that no batch has "
                        "moved: they are those of an untrained model",
                        measured="running mean 0 and variance 1, no batches",
                        threshold="statistics of the training data",
                        next_step="copy the model's buffers as well, or call torch.optim.swa_utils.update_bn",
                    )
                )
        if root is not None and self.evaluated:
            for name, module in root.named_modules():
                count = int(module.num_batches_tracked) if _tracks(module) else 0
                decay = 1 - (getattr(module, "momentum", 0.0) or 1.0)
                if count >= LONG_ENOUGH and 0 < decay < 1 and decay**count > LAGGING:
                    found.append(_lagging(placed(name, module), "running statistics", decay, count))
        if root is None and not found:
            raise NotApplicableError("no module holds the optimizer's parameters")
        return found


def _tracks(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.num_batches_tracked is not None


def _untouched(module: nn.Module) -> bool:
    """Whether a BatchNorm has the statistics that it was made with."""
    if not _tracks(module) or not isinstance(module.running_mean, Tensor) or not isinstance(module.running_var, Tensor):
        return False
    return not bool(module.running_mean.any()) and bool((module.running_var == 1).all())


def _lagging(place: str, what: str, decay: float, steps: int) -> Problem:
    return Problem(
        places=[place],
        reason=f"the average of {what} moves so slowly that most of it is still what it began with",
        measured=f"a factor of {decay:.6g} a step leaves {decay**steps:.0%} after {steps} steps",
        threshold=f"at most {LAGGING:.0%}",
        next_step="a smaller decay (a larger momentum), or one that grows with the steps",
    )


def _candidates(root: nn.Module, modules: list[nn.Module]) -> list[tuple[str, nn.Module]]:
    """Modules in the user's frames with parameters of the same shapes as the model's: averages, targets, teachers."""
    shapes = [one.shape for one in root.parameters()]
    return [
        (f"average ({type(one).__name__})", one)
        for one in modules
        if one is not root and [each.shape for each in one.parameters()] == shapes
    ]


def _shares(one: nn.Module, other: nn.Module) -> bool:
    held = {id(each) for each in other.parameters()}
    return any(id(each) in held for each in one.parameters())


def _flat(module: nn.Module, like: nn.Module) -> Tensor | None:
    """Up to 1,000 values of each parameter, on the CPU."""
    parts = [one.detach().flatten()[:1000].double().cpu() for one in module.parameters()]
    return torch.cat(parts) if len(parts) == len(list(like.parameters())) and parts else None
