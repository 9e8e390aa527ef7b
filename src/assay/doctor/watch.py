"""The watch around a training loop: `with watch(model) as seen:`, then `seen.report`.

Covers: what is watched when (the first 60 steps in full, then 2 % of them; between them each loss and each step), the
hooks on the model, and the report. Not covered: the taps on torch (`torch_taps`), the checks (the monitors).
"""

from __future__ import annotations

import math
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from assay.doctor import autograd_graph, torch_taps, user_frames
from assay.doctor.batch_monitor import BatchMonitor
from assay.doctor.findings import Report
from assay.doctor.gradient_monitor import GradientMonitor
from assay.doctor.loop_checks import LoopMonitor, report_of
from assay.doctor.loop_state import Loop, LossSeries, RootCall
from assay.doctor.mode_monitor import ModeMonitor
from assay.doctor.nonfinite_monitor import NonFiniteMonitor
from assay.doctor.state_monitor import StateMonitor
from assay.doctor.symptom_monitor import SymptomMonitor
from assay.doctor.target_monitor import TargetMonitor
from assay.doctor.update_monitor import UpdateMonitor

_TENSOR_BACKWARD: CodeType = Tensor.backward.__code__
#: events that are told between the windows, too
ALWAYS = frozenset(("mode", "taken", "restored", "scaled", "scaler step begins", "scaler step ended", "begun", "made"))


def watch(
    model: nn.Module | None = None,
    optimizer: Any = None,
    train_loader: Any = None,
    val_loader: Any = None,
    planned_steps: int | None = None,
) -> Watch:
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
    return Watch(Loop(model, given, train_loader, val_loader, planned_steps))


class Watch:
    """A watched block. `report` says that nothing was looked at yet until the block has ended."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.thread = 0
        self.modes = ModeMonitor(loop)
        self.nonfinite = NonFiniteMonitor(loop)
        self.monitors: list[LoopMonitor] = [
            GradientMonitor(loop),
            self.nonfinite,
            UpdateMonitor(loop),
            self.modes,
            StateMonitor(loop),
            TargetMonitor(loop),
            BatchMonitor(loop),
            SymptomMonitor(loop),
        ]
        self.report = Report(report_of(self.monitors, "the block has not ended"))
        self._methods = _methods(self.monitors)
        self._busy = False
        self._hooks: list[Any] = []
        self._hooked: nn.Module | None = None
        self._given: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._waiting: deque[tuple[LossSeries, Tensor, Any]] = deque()

    def __enter__(self) -> Watch:
        self.thread = threading.get_ident()
        self.loop.root = self.loop.model
        if self.loop.model is not None:
            self._hook(self.loop.model)
        torch_taps.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch_taps.remove(self)
        self._unhook()
        if error is not None:
            self.loop.ended_by = kind.__name__ if kind is not None else "an exception"
        self._read_waiting(0)
        why_not = "" if self.loop.steps else "no optimizer of torch made a step in the block"
        self.report = Report(report_of(self.monitors, why_not))

    # what torch_taps tells

    def backward_begins(self, tensors: Any) -> None:
        if self._busy:  # a backward pass inside of one: reentrant checkpointing
            return
        self._busy = True
        try:
            loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors), None)
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                return
            scaled = self.loop.scaled
            self._note_loss(scaled[0] if scaled is not None and scaled[1] is loss else loss, self._series())
            if self.loop.full:
                close = self.loop.close(self.loop.steps)
                self.loop.backward_line = user_frames.place() if close else self.loop.backward_line
                self.loop.targets = autograd_graph.saved_targets(loss) if close else []
                self._tell("backward_begins", loss)
        except Exception as error:
            self._failed(self.nonfinite, error)

    def backward_ended(self, failed: bool) -> None:
        if self._busy:
            self._busy = False
            if self.loop.full and not failed:
                self._tell("backward_ended")

    def step_begins(self, optimizer: Any, closure: bool) -> None:
        held = self.loop.watched(optimizer)
        if held is None:
            return
        held.stepping, held.closure, held.gradient_norm, held.scaled_by = True, closure, None, None
        if not self.loop.full:
            return
        if not held.line or self.loop.close(held.steps):
            held.line = user_frames.place()
        if held.root is None:
            self.loop.find_root(held)
            if self.loop.root is not None and self._hooked is None:
                self._hook(self.loop.root)
        self._tell("step_begins", held)

    def step_ended(self, optimizer: Any) -> None:
        held = self.loop.watched(optimizer)
        if held is None:
            return
        loop = self.loop
        held.stepping = False
        held.steps += 1
        self.modes.stepped(held)
        self.nonfinite.stepped()
        if loop.full:
            self._tell("step_ended", held)
            held.backwards = 0
        if loop.evaluating:
            self._evaluation(False)
        if held.steps > loop.steps:
            loop.steps = held.steps
            full = loop.next_full()
            if full is not loop.full:
                self._turn(full)

    def event(self, name: str, *told: Any) -> None:
        if not self.loop.full and not self.loop.evaluating and name not in ALWAYS:
            return
        if name == "scaled":
            arguments, result = told
            if len(arguments) > 1 and isinstance(arguments[1], Tensor) and isinstance(result, Tensor):
                self.loop.scaled = (arguments[1], result)
            return
        if name == "made":
            self.loop.made[id(told[0][0])] = user_frames.place() if self.loop.full else ""
            return
        if name == "mode" and self.loop.root is not None and told[0][0] is self.loop.root:
            self._evaluation(not self.loop.root.training)
        self._tell(name, name, *told)

    # inside

    def _evaluation(self, begins: bool) -> None:
        """Evaluations are looked at between the windows, too: they are no steps."""
        self.loop.evaluating = begins
        if begins and self.loop.root is not None:
            self._hook(self.loop.root)
        elif not self.loop.full:
            self._unhook()

    def _tell(self, what: str, *told: Any) -> None:
        for monitor, method in self._methods[what]:
            try:
                method(*told)
            except Exception as error:
                self._failed(monitor, error)

    def _failed(self, monitor: LoopMonitor, error: Exception) -> None:
        """A fault of the doctor's own never ends a run: its checks are `not run`."""
        monitor.broken = f"{type(error).__name__}: {error}"
        self._methods = _methods([one for one in self.monitors if not one.broken])

    def _series(self) -> LossSeries:
        frame = sys._getframe(3)  # who called torch.autograd.backward
        if frame.f_code is _TENSOR_BACKWARD and frame.f_back is not None:
            frame = frame.f_back
        key = (id(frame.f_code), frame.f_lasti)
        series = self.loop.series.get(key)
        if series is None:
            series = self.loop.series[key] = LossSeries(user_frames.place())
        return series

    def _note_loss(self, loss: Tensor, series: LossSeries) -> None:
        series.steps.append(self.loop.steps)
        if loss.device.type != "cpu":  # read two steps later, when it has arrived: nobody waits for a GPU
            self._wait_for(loss, series)
            return
        value = loss.item()
        series.values.append(value)
        if not math.isfinite(value):
            self.nonfinite.noticed(value, loss, series)
        elif self.nonfinite.pending:
            self.nonfinite.pending = False  # no step was made with it

    def _wait_for(self, loss: Tensor, series: LossSeries) -> None:
        self._read_waiting(1)
        arrived = None
        if loss.device.type == "cuda":
            host = torch.empty((), dtype=loss.dtype, pin_memory=True)
            host.copy_(loss.detach().reshape(()), non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        else:
            host = loss.detach()
        self._waiting.append((series, host, arrived))

    def _read_waiting(self, most: int) -> None:
        while len(self._waiting) > most:
            series, host, arrived = self._waiting.popleft()
            if arrived is not None:
                arrived.synchronize()
            value = host.item()
            series.values.append(value)
            if not math.isfinite(value):
                self.nonfinite.noticed(value, None, series)

    def _turn(self, full: bool) -> None:
        self.loop.full = full
        if not full:
            self._unhook()
        elif self.loop.root is not None:
            self._hook(self.loop.root)

    def _hook(self, root: nn.Module) -> None:
        compiled = getattr(root, "_compiled_call_impl", None) is not None
        if self._hooked is not None or compiled or isinstance(root, torch.jit.ScriptModule):
            return
        self._hooked = root
        self._hooks = [
            root.register_forward_pre_hook(self._called, with_kwargs=True),
            root.register_forward_hook(self._returned, with_kwargs=True),
        ]

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._hooked, self._given = [], None, None
        self.loop.call = None

    def _called(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not torch.compiler.is_compiling():
            self._given = (inputs, named)

    def _returned(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        call = RootCall(inputs, named, output, module.training, torch.is_grad_enabled())
        if call.with_gradient:
            self.loop.call = call.without_graph()
        self._tell("called", call)


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
