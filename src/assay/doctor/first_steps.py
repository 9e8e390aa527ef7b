"""The first steps of a training, written down as digests, so that two runs of one seed can be compared.

Covers: batches of loaders, outputs of modules and losses, in the order in which they come; the first that differs. Not
covered: who runs the training twice (`assay doctor` on the task, `assay doctor run --twice` on a script).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from assay.doctor import tensor_tree, torch_taps, user_frames
from assay.doctor.check_results import Problem, rank, results_of, unseen
from assay.doctor.findings import NOT_RUN, Finding, Report
from assay.doctor.loop_checks import LoopCheck
from assay.doctor.operation_trace import placed
from assay.doctor.state_restoration import generators_put_back

#: losses that are compared, and most entries that are written down
STEPS, MOST = 10, 20_000
LOADER, MODULE, LOSS = "loader", "module", "loss"
CHECK = LoopCheck("runs-twice", "modes-layers", 61, list, "warning", "two runs")

#: kind, place, digest of the values
Entry = tuple[str, str, str]


class EnoughSeen(SystemExit):
    """The end of a run that is there only for its first steps."""


class FirstSteps:
    """Writes down what a training does until STEPS losses were seen; `stop` then ends the run."""

    attentive = True

    def __init__(self, stop: bool = False) -> None:
        self.entries: list[Entry] = []
        self.stop = stop
        self.losses = 0
        self.thread = 0
        self._open: list[nn.Module] = []
        self._names: dict[int, str] = {}
        self._undo: list[Any] = []

    def begin(self, taps: bool = True) -> FirstSteps:
        """Look at all modules, and with `taps` at loaders and backward passes."""
        self.thread = threading.get_ident()
        self._undo = [register_module_forward_pre_hook(self._enter), register_module_forward_hook(self._leave)]
        if taps:
            torch_taps.add(self)
        return self

    def end(self) -> None:
        torch_taps.remove(self)
        while self._undo:
            self._undo.pop().remove()

    def note(self, kind: str, place: str, values: Any) -> None:
        if len(self.entries) < MOST:
            self.entries.append((kind, place, digest(values)))

    # what torch_taps tells

    def catch_up(self) -> None: ...
    def step_begins(self, optimizer: Any, closure: bool) -> None: ...
    def step_ended(self, optimizer: Any) -> None: ...
    def backward_ended(self, failed: bool) -> None: ...

    def backward_begins(self, tensors: Any) -> None:
        self._open.clear()
        self.note(LOSS, user_frames.place() or LOSS, tensors)
        self.losses += 1
        if self.losses >= STEPS:
            self.end()
            if self.stop:
                raise EnoughSeen(0)

    def event(self, name: str, *told: Any) -> None:
        if name == "drawn":
            self.note(LOADER, user_frames.place() or "train_loader", told[1])

    def _enter(self, module: nn.Module, _: Any) -> None:
        if torch.compiler.is_compiling() or threading.get_ident() != self.thread:
            return
        if not self._open:
            self._names.update({id(one): placed(name, one) for name, one in module.named_modules()})
        self._open.append(module)

    def _leave(self, module: nn.Module, _: Any, output: Any) -> None:
        if not self._open or threading.get_ident() != self.thread:
            return
        self.note(MODULE, self._names.get(id(module), type(module).__name__), output)
        while self._open and self._open.pop() is not module:
            pass  # modules that an exception has left


def digest(values: Any) -> str:
    """Hash of all tensors in a tree, bit for bit."""
    found = hashlib.blake2b(digest_size=8)
    for one in tensor_tree.leaves(values):
        found.update(f"{one.dtype}{tuple(one.shape)}".encode())
        if one.layout == torch.strided:
            found.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def compared(one: list[Entry], two: list[Entry]) -> list[Finding]:
    """What two runs say: the first loader, module or loss that differs."""
    if not one or not two:
        return [unseen(CHECK, NOT_RUN, "one of the two runs has no step")]
    first = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), -1)
    if first < 0:
        return results_of(CHECK, [])
    kind, place, _ = two[first]
    same_place = one[first][:2] == two[first][:2]
    losses = sum(entry[0] == LOSS for entry in two[:first])
    what = {LOADER: "a batch", MODULE: "the output of a module", LOSS: "the loss"}[kind]
    what = what if same_place else "in what is done"
    return results_of(
        CHECK,
        [
            Problem(
                places=[place, "train_loader" if kind == LOADER else "model" if kind == MODULE else "loss"],
                reason=f"two runs of one seed differ; the first difference is {what}",
                measured=f"after {losses} equal losses" if losses else "before the first loss",
                threshold="equal, bit for bit",
                next_step="seed Python, NumPy and torch at the start, and each generator of your own",
            )
        ],
    )


def of_parts(build: Callable[[], Mapping[str, Any]], steps: int = 3) -> list[Finding]:
    """Two trainings of the parts that `build` makes anew, as arguments of `examine`: their first losses, compared."""
    runs = []
    with generators_put_back():
        for _ in range(2):
            seen = FirstSteps().begin(taps=False)
            try:
                _losses(build(), seen, steps)
            except Exception as error:
                return [unseen(CHECK, NOT_RUN, f"{type(error).__name__}: {error}")]
            finally:
                seen.end()
            runs.append(seen.entries)
    return compared(*runs)


def _losses(given: Mapping[str, Any], seen: FirstSteps, steps: int) -> None:
    model: nn.Module = given["model"].train()
    for batch in islice(iter(given["train_loader"]), steps):
        seen.note(LOADER, "train_loader", batch)
        forward = given.get("forward")
        output, target = forward(model, batch) if forward else (model(batch[0]), batch[1])
        value = given["loss"](output, target)
        seen.note(LOSS, LOSS, value)
        needed = [one for one in model.parameters() if one.requires_grad]
        gradients = torch.autograd.grad(value, needed, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(needed, gradients, strict=True):
                if isinstance(gradient, Tensor):
                    parameter.sub_(gradient, alpha=0.01)


def with_findings(report: Report, found: list[Finding]) -> Report:
    """A report with what two runs said: in front of others that passed, behind what is more telling."""
    if not found or found[0].result != "fail":
        return Report([*report.findings, *found])
    place = sum(one.result == "fail" and rank(one, 0)[2] == 0 for one in report.findings)
    return Report([*report.findings[:place], *found, *report.findings[place:]])


def written(entries: list[Entry], path: str) -> None:
    Path(path).write_text(json.dumps(entries), encoding="utf-8")


def read(path: str) -> list[Entry]:
    """Entries of another process; none where it left none."""
    file = Path(path)
    if not file.is_file():
        return []
    return [(kind, place, values) for kind, place, values in json.loads(file.read_text(encoding="utf-8"))]
