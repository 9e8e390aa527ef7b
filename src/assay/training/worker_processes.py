"""Replicates in processes of their own, one after another or in lanes, on a machine with cores to spare.

A worker is a copy of this process where that is safe, ready within a tenth of a second; else it is started afresh.
Workers die with their parent.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.schemas import Note
from assay.data.named_targets import TargetPart
from assay.replicates.replicate_result import Outcome, Point
from assay.replicates.training_progress import Watcher
from assay.runtime import parent_watch, progress_line, standard_streams, tracked_code_check
from assay.training import configured_task, device, task_interface
from assay.training.batches import Tensors
from assay.training.checkpoint import Checkpoints
from assay.training.chosen_loss import Chosen
from assay.training.model_inputs import MappedInputs, Preprocessing
from assay.training.task_interface import Task
from assay.training.training_spec import Recording, TrainingPlan

#: what trains in a worker: (plan, numbers, chunk, progress, notes) → outcomes
Train = Callable[[TrainingPlan, Sequence[int], int, Watcher, list[Note]], list[Outcome]]


@dataclass(frozen=True)
class _Parcel:
    """A plan without anything that only lives in one process."""

    root: Path  # folder of dvc.yaml
    params: Params
    seed: int
    purpose: str
    arrays: list[NDArray[Any]]  # inputs and targets of each part, the holdout last
    soft: NDArray[Any] | None
    statistics: tuple[dict[str, Tensor], ...] | None  # where inputs are preprocessed batch by batch
    classes: int | None
    outputs: int | dict[str, int]
    parts: tuple[TargetPart, ...] | None
    ready_loss: Chosen | None
    checkpoints: Checkpoints | None
    recording: Recording | None
    threads: int

    @classmethod
    def of(cls, plan: TrainingPlan) -> _Parcel:
        arrays, statistics = [], None
        for part in (plan.train, plan.evaluate, *([plan.holdout] if plan.holdout else [])):
            mapped = part.inputs if isinstance(part.inputs, MappedInputs) else None
            statistics = mapped.ready.statistics if mapped else None
            raw = mapped.raw if mapped else part.inputs
            assert isinstance(raw, Tensor)  # what is collated trains in one process
            arrays += [raw.cpu().numpy(), part.targets.cpu().numpy()]
        return cls(
            root=plan.task.root,
            params=plan.params,
            seed=plan.seed,
            purpose=plan.purpose,
            arrays=arrays,
            soft=None if plan.soft is None else plan.soft.cpu().numpy(),
            statistics=statistics,
            classes=plan.classes,
            outputs=plan.outputs,
            parts=plan.task.parts,
            ready_loss=plan.task.ready_loss,
            checkpoints=plan.checkpoints,
            recording=plan.recording,
            threads=torch.get_num_threads(),
        )

    def plan(self) -> TrainingPlan:
        task = configured_task.again(self.params, self.root, (self.parts, self.ready_loss))
        tensors = [torch.from_numpy(array) for array in self.arrays]
        parts = [self._part(task, *tensors[start : start + 2]) for start in range(0, len(tensors), 2)]
        return TrainingPlan(
            task=task,
            params=self.params,
            device=torch.device("cpu"),
            seed=self.seed,
            purpose=self.purpose,
            train=parts[0],
            evaluate=parts[1],
            classes=self.classes,
            outputs=self.outputs,
            soft=None if self.soft is None else torch.from_numpy(self.soft),
            holdout=parts[2] if len(parts) > 2 else None,
            checkpoints=self.checkpoints,
            recording=self.recording,
        )

    def _part(self, task: Task, inputs: Tensor, targets: Tensor) -> Tensors:
        if self.statistics is None:
            return Tensors(inputs, targets)
        ready = Preprocessing(task, self.statistics, device.DTYPES[self.params.train.precision])
        return Tensors(MappedInputs(inputs, ready), targets)


class WorkerRelay:
    """Stands in for Progress inside a worker."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def points(self, rows: Sequence[tuple[int, int, Point]]) -> None:
        self.pipe.send(("points", list(rows)))

    def log(self, line: str) -> None:
        self.pipe.send(("log", line))

    def finished(self, outcome: Outcome) -> None:
        alone = outcome.execution == "sequential"
        self.pipe.send(("finished", replace(outcome, execution="processes") if alone else outcome))


def forks() -> bool:
    """Whether this process may be copied: a copy has none of its threads.

    Torch does without them where it keeps to one, also after it has used more. Where there is an accelerator, used or
    not, autograd has threads of its own and refuses to work in a copy; and nobody knows what a task's threads are for.
    """
    others = {one.name for one in threading.enumerate()} - {"MainThread", parent_watch.NAME, progress_line.NAME}
    single = torch.get_num_threads() == 1 and not torch.accelerator.is_available()
    return sys.platform == "linux" and single and not others


class WorkerEnd(NamedTuple):
    """What a worker says at its end."""

    nondeterministic: list[str]
    notes: list[Note]
    imported: list[str]


def run(
    plan: TrainingPlan, shares: Sequence[Sequence[int]], chunk: int, progress: Watcher, notes: list[Note], train: Train
) -> list[Outcome]:
    """Train each of `shares` in a process of its own, each `chunk` at a time; outcomes in no particular order.

    Each runs with as many threads as this process does.
    """
    context: Any = multiprocessing.get_context("fork" if forks() else "spawn")
    parcel = _Parcel.of(plan)
    open_pipes: dict[Any, Any] = {}
    found: list[Outcome] = []
    try:
        for share in shares:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(parcel, list(share), chunk, theirs, train), daemon=True)
            try:
                process.start()
            except OSError as error:
                what = f"a worker process could not be started ({error.strerror})"
                raise AssayError(what, hint="set machine.execution to sequential or fused") from error
            theirs.close()
            open_pipes[ours] = process
        while open_pipes:
            for ready in wait(list(open_pipes)):
                done = _take(ready, plan.task.root, progress, found)
                if done is not None:
                    notes += [note for note in done.notes if note not in notes]
                    open_pipes.pop(ready).join()
    finally:
        for process in open_pipes.values():
            process.terminate()
    return found


def _take(pipe: Any, root: Path, progress: Watcher, found: list[Outcome]) -> WorkerEnd | None:
    """One message of a worker; the last tells what became of it."""
    try:
        kind, content = pipe.recv()
    except EOFError as error:
        raise AssayError("a worker process was killed", hint="set machine.execution to sequential") from error
    if kind == "error":
        raise content
    if kind == "done":
        said(content, root)
        return cast(WorkerEnd, content)
    if kind == "finished":
        found.append(content)
    relay(kind, content, progress)
    return None


def relay(kind: str, content: Any, progress: Watcher) -> None:
    """Tell `progress` what a `WorkerRelay` sent."""
    if kind == "points":
        progress.points(content)
    elif kind == "log":
        progress.log(content)
    else:
        progress.finished(content)


def said(end: WorkerEnd, root: Path) -> None:
    """Note what a worker says at its end as if it had happened in this process."""
    for name in end.nondeterministic:
        warnings.warn(f"{name} does not have a deterministic implementation", stacklevel=2)
    tracked_code_check.met(root, end.imported)


def _work(parcel: _Parcel, numbers: list[int], chunk: int, pipe: Connection, train: Train) -> None:
    serve(pipe, lambda: _trained(parcel, numbers, chunk, pipe, train))


def _trained(parcel: _Parcel, numbers: list[int], chunk: int, pipe: Connection, train: Train) -> WorkerEnd:
    notes: list[Note] = []
    plan = parcel.plan()
    with (
        device.threads(parcel.threads),
        device.products(parcel.params.train.precision),
        device.determinism(parcel.params.train.deterministic) as nondeterministic,
    ):
        train(plan, numbers, chunk, WorkerRelay(pipe), notes)
    return WorkerEnd(nondeterministic, notes, tracked_code_check.imported(parcel.root))


def serve(pipe: Connection, work: Callable[[], WorkerEnd]) -> None:
    """Do the `work` of this process, send what came of it, or what went wrong, and end the process."""
    starter = multiprocessing.parent_process()
    parent_watch.hold(starter.pid if starter else None)
    standard_streams.make_lenient()
    try:
        pipe.send(("done", work()))
    except AssayError as error:
        pipe.send(("error", error))
    except Exception as error:
        pipe.send(("error", RuntimeError(task_interface.brief(error))))
    pipe.close()
    os._exit(0)  # at once: a thread that the task left running would be waited for
