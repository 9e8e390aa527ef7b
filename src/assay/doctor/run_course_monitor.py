"""The course of a run: schedules made anew, parameters frozen, weights that nothing moves, inputs of evaluation."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.subject import NotApplicableError

#: schedules that were left before their end, from which it was no accident, and share of it that is the end
LEFT, END = 3, 0.9
#: backward passes after which weights should have moved
MANY = 20
#: forward passes of training and numbers of evaluation from which sizes say something; batches that are kept
ENOUGH, NUMBERS, MOST = 3, 64, 10
#: factor of sizes, and distance of means in spreads, between training's and evaluation's inputs
FACTOR, FAR = 5.0, 5.0


@dataclass
class InputSizes:
    """Means and mean squares of batches that the model was given."""

    means: list[Tensor] = field(default_factory=list)
    squares: list[Tensor] = field(default_factory=list)
    numbers: int = 0
    line: str = ""

    def add(self, given: Tensor) -> None:
        if len(self.means) < MOST:
            self.line = self.line or user_frames.place()
            values = given.detach().float()
            self.means.append(values.mean())
            self.squares.append(values.square().mean())
            self.numbers += given.numel()

    def summary(self) -> tuple[float, float]:
        """Mean and spread."""
        mean = float(torch.stack(self.means).mean())
        return mean, max(float(torch.stack(self.squares).mean()) - mean**2, 0.0) ** 0.5


class CourseMonitor(LoopMonitor):
    """What goes wrong between the steps, and with the run as a whole."""

    EVENTS = ("scheduled",)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.schedules: weakref.WeakKeyDictionary[Any, tuple[Any, int]] = weakref.WeakKeyDictionary()
        self.left: list[tuple[int, int]] = []
        self.made_at = ""
        self.trained, self.evaluated = InputSizes(), InputSizes()
        self.free: dict[int, set[int]] = {}
        self.frozen: dict[str, int] = {}
        self.frozen_at, self.frozen_step = "", 0
        self.passes, self.line = 0, ""
        self.before: list[tuple[nn.Parameter, Tensor]] = []
        self.marks: list[tuple[int, int] | None] | None = None
        self.useless: Counter[str] = Counter()
        self.useful: Counter[str] = Counter()

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("schedule-made-anew", "optimisation", 92, self._made_anew, level="warning"),
            LoopCheck("evaluation-inputs-otherwise", "data", 90, self._otherwise, level="warning"),
            LoopCheck("frozen-mid-run", "optimisation", 40, self._frozen, level="advice"),
            LoopCheck("backward-unused", "optimisation", 93, self._useless, level="warning"),
            LoopCheck("weights-unmoved", "optimisation", 94, self._unmoved, "warning", without_steps=True),
        ]

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if len(arguments) < 2:
            return
        schedule, optimizer = arguments[:2]
        earlier, step = self.schedules.get(optimizer, (None, -1))
        last = None if earlier is None else earlier()
        if last is not None and self.loop.steps > step:
            whole = getattr(last, "total_steps", None) or getattr(last, "T_max", None)
            if isinstance(whole, int | float) and last.last_epoch < END * whole:
                self.left.append((int(last.last_epoch), int(whole)))
                self.made_at = user_frames.place()
        if step != self.loop.steps or earlier is None:
            self.schedules[optimizer] = (weakref.ref(schedule), self.loop.steps)

    def called(self, call: RootCall) -> None:
        if call.training and not self.loop.close(self.loop.steps):
            return
        given = next((one for one in call.tensors if one.is_floating_point() and one.numel() > 1), None)
        if given is None:
            return
        if call.training and call.with_gradient:
            self.trained.add(given)
        elif not call.training and not call.with_gradient:
            self.evaluated.add(given)

    def step_ended(self, held: WatchedOptimizer) -> None:
        if not self.loop.close(held.steps - 1):
            return
        free = self.free.setdefault(id(held), {id(one) for one in held.parameters if one.requires_grad})
        frozen = [one for one in held.parameters if id(one) in free and not one.requires_grad]
        if frozen and not self.frozen_at:
            self.frozen_at, self.frozen_step = held.line, held.steps
        self.frozen = {held.names.get(id(one), "a parameter"): one.numel() for one in frozen}

    def backward_begins(self, loss: Any) -> None:
        several = len(self.loop.series) > 1  # of one loss, no other can be reached in its place
        self.marks = self._marks() if several and self.loop.optimizers and self.loop.close(self.loop.steps) else None

    def _marks(self) -> list[tuple[int, int] | None]:
        """Address and version of each gradient that an optimizer may use."""
        gradients = [one.grad for held in self.loop.all_watched() for one in held.parameters]
        return [None if one is None else (one.data_ptr(), one._version) for one in gradients]

    def backward_ended(self) -> None:
        if self.loop.steps or self.loop.optimizers:
            self.before.clear()
            if self.marks is not None:
                (self.useless if self._marks() == self.marks else self.useful)[self.loop.backward_line] += 1
            return
        self.passes += 1
        self.line = self.loop.backward_line
        if self.passes == 1:
            held = [one for module in user_frames.modules() for one in module.parameters() if one.grad is not None]
            self.before = [(one, one.detach().clone()) for one in {id(one): one for one in held}.values()]

    # the checks

    def _made_anew(self) -> list[Problem]:
        if len(self.left) < LEFT:
            return []
        done, whole = self.left[-1]
        return [
            Problem(
                places=[self.made_at, "scheduler"],
                reason="a schedule is made anew before the last one has ended, again and again: the rate only ever "
                "goes through its beginning",
                measured=f"{len(self.left)} schedules left, the last after {done} of {whole} steps",
                threshold=f"fewer than {LEFT}",
                next_step="make the schedule once, before the loop over epochs",
            )
        ]

    def _otherwise(self) -> list[Problem]:
        if len(self.trained.means) < ENOUGH or not self.evaluated.means or self.evaluated.numbers < NUMBERS:
            raise NotApplicableError("too few inputs of floating-point numbers were seen in training and evaluation")
        (mean, spread), (other, spread_there) = self.trained.summary(), self.evaluated.summary()
        size, size_there = (max((m * m + s * s) ** 0.5, 1e-12) for m, s in ((mean, spread), (other, spread_there)))
        ratio = max(size / size_there, size_there / size)
        if ratio < FACTOR and abs(other - mean) < FAR * max(spread, 1e-12):
            return []
        return [
            Problem(
                places=[self.evaluated.line],
                reason="the model is given inputs of another scale in evaluation than in training: they are not "
                "prepared alike",
                measured=f"mean {other:.3g} and spread {spread_there:.3g}; {mean:.3g} and {spread:.3g} in training",
                threshold=f"sizes within a factor of {FACTOR:g}, means within {FAR:g} spreads",
                next_step="prepare inputs in one function, and call it in both loops",
            )
        ]

    def _frozen(self) -> list[Problem]:
        if not self.frozen:
            return []
        return [
            Problem(
                places=[self.frozen_at, *list(self.frozen)[:2]],
                reason="parameters that trained at first were frozen on the way, and stay so",
                measured=f"{len(self.frozen)} parameters, seen from step {self.frozen_step} on",
                threshold="none, or on purpose",
                next_step="look for requires_grad = False in the evaluation; torch.no_grad() needs no undoing",
            )
        ]

    def _useless(self) -> list[Problem]:
        """Backward passes of one line that never reach what an optimizer of the loop holds, beside others that do."""
        if self.loop.given:
            raise NotApplicableError("other optimizers than those that were given may step")
        lines = [line for line, count in self.useless.items() if count >= ENOUGH and not self.useful[line]]
        if not lines or not self.useful:
            return []
        return [
            Problem(
                places=[lines[0]],
                reason="this backward pass reaches no parameter of an optimizer that steps: what it is for never moves",
                measured=f"all {self.useless[lines[0]]} passes that were looked at",
                threshold="a parameter that is held",
                next_step="step the optimizer of that network, or make one of its parameters; look at detach()",
            )
        ]

    def _unmoved(self) -> list[Problem]:
        if self.loop.steps or self.passes < MANY or not self.before:
            return []
        if any(not torch.equal(one.detach(), value) for one, value in self.before):
            return []
        return [
            Problem(
                places=[self.line],
                reason="gradients are calculated again and again, and no weight has moved: an update goes to a name, "
                "not to the parameter",
                measured=f"{self.passes} backward passes, {len(self.before)} parameters as they were",
                threshold="weights that move",
                next_step="call optimizer.step(), or parameter.sub_(rate * parameter.grad) in torch.no_grad()",
            )
        ]
