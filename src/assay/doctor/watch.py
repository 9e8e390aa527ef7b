"""The watch around a training loop: `with watch(model) as seen:`, then `seen.report`.

Covers: what is watched when (the first 60 steps in full, then 2 % of them; between them each loss and each step), the
hooks on the model, and the report. Not covered: the taps on torch (`torch_taps`), the checks (the monitors).
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import autograd_graph, torch_taps, user_frames
from assay.doctor.batch_monitor import BatchMonitor
from assay.doctor.failed_learning_monitor import SymptomMonitor
from assay.doctor.findings import Report
from assay.doctor.gradient_monitor import GradientMonitor
from assay.doctor.loop_checks import LoopMonitor, report_of
from assay.doctor.loop_state import Loop, RootCall, WatchedOptimizer
from assay.doctor.lost_update_monitor import PassageMonitor
from assay.doctor.mode_monitor import ModeMonitor
from assay.doctor.nonfinite_monitor import NonFiniteMonitor
from assay.doctor.run_course_monitor import CourseMonitor
from assay.doctor.state_monitor import StateMonitor
from assay.doctor.target_monitor import TargetMonitor
from assay.doctor.update_monitor import UpdateMonitor
from assay.doctor.watched_losses import LossReader


def watch(
    model: nn.Module | None = None,
    optimizer: Any = None,
    train_loader: Any = None,
    val_loader: Any = None,
    planned_steps: int | None = None,
) -> LoopWatch:
    """Watch whatever trains inside the `with` block; `report` of what it gives is a Report once the block has ended.

    Everything may be left out: the optimizers are those that step in the block, the model is the module that holds
    their parameters. `optimizer` is one or a list, and others are then left alone; `val_loader` is what must not be
    trained on; `planned_steps` is how many steps the whole training has, where the block is only a part of it.

    Weights are bit for bit those of a run without a watch: no random number is drawn, no batch, no mode, buffer or
    gradient changed. Exceptions of the block pass on. Raises TypeError for arguments of the wrong kind.
    """
    if model is not None and not isinstance(model, nn.Module):
        raise TypeError(f"model is {type(model).__name__}; allowed: a torch.nn.Module, or None to find it")
    if planned_steps is not None and (not isinstance(planned_steps, int) or planned_steps < 1):
        raise TypeError(f"planned_steps is {planned_steps!r}; allowed: a whole number above 0, or None")
    given = [] if optimizer is None else list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    return LoopWatch(Loop(model, given, train_loader, val_loader, planned_steps))


class LoopWatch:
    """A watched block. `report` says that nothing was looked at yet until the block has ended."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.thread = 0
        self.modes = ModeMonitor(loop)
        self.nonfinite = NonFiniteMonitor(loop)
        self.losses = LossReader(loop, self.nonfinite)
        self.passages = PassageMonitor(loop)
        self.monitors: list[LoopMonitor] = [
            GradientMonitor(loop),
            self.nonfinite,
            UpdateMonitor(loop),
            self.modes,
            StateMonitor(loop),
            TargetMonitor(loop),
            BatchMonitor(loop),
            self.passages,
            CourseMonitor(loop),
            SymptomMonitor(loop),
        ]
        self.report = Report(report_of(self.monitors, "the block has not ended"))
        self._methods = _methods(self.monitors)
        self._busy = False
        self._hook: Any = None
        self._quiet: torch_taps.QuietSteps | None = None

    @property
    def attentive(self) -> bool:
        """Whether taps that are not needed in each step have to be there."""
        return self.loop.full or self.loop.evaluating

    def __enter__(self) -> LoopWatch:
        self.thread = threading.get_ident()
        self.loop.root = self.loop.model
        torch_taps.add(self)
        self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.catch_up()
        torch_taps.remove(self)
        self._look_away()
        with contextlib.suppress(Exception):  # of a device that has failed
            self.losses.finish()
        why_not = "" if self.loop.steps else "no optimizer of torch made a step in the block"
        self.report = Report(report_of(self.monitors, why_not))
        self.loop.forget()

    # what torch_taps tells; a fault of the doctor's own never ends a run

    def backward_begins(self, tensors: Any) -> None:
        if self._busy:  # a backward pass inside of one: reentrant checkpointing
            return
        self._busy = True
        try:
            self.catch_up()
            loss, loop = self.losses.read(tensors), self.loop
            if loop.full:
                close = loop.close(loop.steps)
                loop.backward_line = user_frames.place() if close or not loop.backward_line else loop.backward_line
                loop.targets = autograd_graph.saved_targets(loss) if close and loss is not None else []
                self._tell("backward_begins", loss)
        except Exception as error:
            self._all_failed(error)

    def backward_ended(self, failed: bool) -> None:
        self._busy = False
        if self.loop.full and not failed:
            self._tell("backward_ended")

    def step_begins(self, optimizer: Any, closure: bool) -> None:
        try:
            held = self.loop.watched(optimizer)
            if held is None:
                return
            held.closure, held.gradient_norm, held.scaled_by = closure, None, None
            if not held.line or self.loop.close(held.steps):
                held.line = user_frames.place()
            if held.root is None:
                self.loop.find_root(held)
                self._look()
            self._tell("step_begins", held)
        except Exception as error:
            self._all_failed(error)

    def step_ended(self, optimizer: Any) -> None:
        try:
            self.catch_up()
            loop = self.loop
            held = loop.optimizers.get(id(optimizer)) or loop.watched(optimizer)
            if held is None:
                return
            held.steps += 1
            if held.root is not None and not held.root.training:
                self.modes.stepped_in_evaluation(held)
            if self.nonfinite.pending:
                self.nonfinite.stepped()
            if loop.full:
                self._tell("step_ended", held)
                held.backwards = 0
            if held.steps > loop.steps:
                loop.steps = held.steps
            if loop.evaluating or loop.next_full() is not loop.full:
                loop.evaluating, loop.full = False, loop.next_full()
                self._look()
            self._be_quiet(optimizer, held)
        except Exception as error:
            self._all_failed(error)

    def event(self, name: str, *told: Any) -> None:
        try:
            self.catch_up()
            root = self.loop.root
            if name == "scaled":
                arguments, result = told
                if len(arguments) > 1 and isinstance(arguments[1], Tensor) and isinstance(result, Tensor):
                    self.loop.scaled = (arguments[1], result)
            elif name == "made":
                self.loop.made[id(told[0][0])] = user_frames.place()
            elif name == "mode" and root is not None and told[0][0] is root:
                self.loop.evaluating = not root.training  # looked at between the windows, too: these are no steps
                self._look()
            self._tell(name, name, *told)
        except Exception as error:
            self._all_failed(error)

    # inside

    def catch_up(self) -> None:
        """Count the steps that passed quietly, and be told of everything again."""
        if self._quiet is not None:
            for held in self.loop.all_watched():
                for made, rate in self._quiet.rates:
                    self.passages.note_rate(held, held.steps + made, rate)
                held.steps += self._quiet.made
                self.loop.steps += self._quiet.made
            self._quiet = None
            torch_taps.quieten(None)

    def _be_quiet(self, optimizer: Any, held: WatchedOptimizer) -> None:
        loop = self.loop
        plain = len(loop.series) == 1 and len(loop.optimizers) == 1 and loop.scaled is None
        left = loop.until_full()
        if plain and held.root is not None and left > 1 and not self.attentive and not self.nonfinite.pending:
            series = next(iter(loop.series.values()))
            self._quiet = torch_taps.QuietSteps(series.values.append, optimizer, held.root, left)
            torch_taps.quieten(self._quiet)

    def _tell(self, what: str, *told: Any) -> None:
        for monitor, method in self._methods[what]:
            try:
                method(*told)
            except Exception as error:
                self._failed(monitor, error)

    def _failed(self, monitor: LoopMonitor, error: Exception) -> None:
        monitor.broken = f"{type(error).__name__}: {error}"
        self._methods = _methods([one for one in self.monitors if not one.broken])

    def _all_failed(self, error: Exception) -> None:
        for one in self.monitors:
            self._failed(one, error)

    def _look(self) -> None:
        """Hook the model and put taps in where this step, or an evaluation, is watched; else take them away."""
        root = self.loop.root
        if not self.attentive:
            self._look_away()
        elif self._hook is None and root is not None and _can_be_hooked(root):
            self._hook = root.register_forward_hook(self._returned, with_kwargs=True)
        torch_taps.adjust()

    def _look_away(self) -> None:
        if self._hook is not None:
            self._hook.remove()
        self._hook = self.loop.call = None

    def _returned(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            call = RootCall(inputs, named, output, module.training, torch.is_grad_enabled())
            if call.with_gradient:
                self.loop.call = call.without_graph()
            self._tell("called", call)
        except Exception as error:
            self._all_failed(error)


def _can_be_hooked(root: nn.Module) -> bool:
    """Not where hooks would be compiled with the module, or are refused."""
    return getattr(root, "_compiled_call_impl", None) is None and not isinstance(root, torch.jit.ScriptModule)


def _methods(monitors: list[LoopMonitor]) -> dict[str, list[tuple[LoopMonitor, Callable[..., None]]]]:
    """Name of what happens → the monitors that are told, and their methods."""
    found: dict[str, list[tuple[LoopMonitor, Callable[..., None]]]] = defaultdict(list)
    for monitor in monitors:
        for name in ("backward_begins", "backward_ended", "step_begins", "step_ended", "called"):
            if getattr(type(monitor), name) is not getattr(LoopMonitor, name):
                found[name].append((monitor, getattr(monitor, name)))
        for name in monitor.EVENTS:
            found[name].append((monitor, monitor.event))
    return found
