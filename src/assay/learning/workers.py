"""Replicates in processes of their own: for models that gain nothing from lanes, on a machine with cores to spare.

Workers are started afresh rather than forked, because torch does not survive a fork once it has used
threads. They die with their parent: each waits on a pipe whose other end the parent holds.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from numpy.typing import NDArray

from assay.learning import contract, device
from assay.learning.feed import Tensors
from assay.learning.loop import Plan
from assay.learning.outcome import Outcome, Point
from assay.learning.progress import Progress
from assay.words.errors import AssayError
from assay.words.params import Params

#: what trains in a worker: (plan, numbers, chunk, progress) → outcomes
Train = Callable[[Plan, Sequence[int], int, Any], list[Outcome]]


@dataclass(frozen=True)
class _Parcel:
    """A plan without anything that only lives in one process."""

    source: Path
    params: Params
    seed: int
    purpose: str
    arrays: list[NDArray[Any]]
    classes: int | None
    outputs: int
    threads: int

    @classmethod
    def of(cls, plan: Plan) -> _Parcel:
        tensors = (plan.train.inputs, plan.train.targets, plan.evaluate.inputs, plan.evaluate.targets)
        arrays = [one.cpu().numpy() for one in tensors]
        threads = torch.get_num_threads()
        return cls(plan.task.source, plan.params, plan.seed, plan.purpose, arrays, plan.classes, plan.outputs, threads)

    def plan(self) -> Plan:
        train_inputs, train_targets, inputs, targets = map(torch.from_numpy, self.arrays)
        return Plan(
            task=contract.load(self.params.task.name, self.source, self.params.model),
            params=self.params,
            device=torch.device("cpu"),
            seed=self.seed,
            purpose=self.purpose,
            train=Tensors(train_inputs, train_targets),
            evaluate=Tensors(inputs, targets),
            classes=self.classes,
            outputs=self.outputs,
        )


class _Relay:
    """Stands in for Progress inside a worker."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def points(self, rows: Sequence[tuple[int, int, Point]]) -> None:
        self.pipe.send(("points", list(rows)))

    def log(self, line: str) -> None:
        self.pipe.send(("log", line))


def run(plan: Plan, numbers: Sequence[int], count: int, chunk: int, progress: Progress, train: Train) -> list[Outcome]:
    """Train `numbers` in `count` processes, each `chunk` at a time; outcomes in no particular order."""
    context = multiprocessing.get_context("spawn")
    parcel = _Parcel.of(plan)
    open_pipes: dict[Any, Any] = {}
    found: list[Outcome] = []
    lifeline, held = context.Pipe(duplex=False)
    try:
        for index in range(count):
            ours, theirs = context.Pipe(duplex=False)
            share = list(numbers[index::count])
            process = context.Process(target=_work, args=(parcel, share, chunk, theirs, lifeline, train), daemon=True)
            process.start()
            theirs.close()
            open_pipes[ours] = process
        lifeline.close()
        while open_pipes:
            for ready in wait(list(open_pipes)):
                if not _take(ready, progress, found):
                    open_pipes.pop(ready).join()
    finally:
        held.close()
        for process in open_pipes.values():
            process.terminate()
    return found


def _take(pipe: Any, progress: Progress, found: list[Outcome]) -> bool:
    """One message of a worker; whether more will come."""
    try:
        kind, content = pipe.recv()
    except EOFError as error:
        raise AssayError(
            "a worker process ended before its time", mend="set machine.execution to sequential"
        ) from error
    if kind == "points":
        progress.points(content)
    elif kind == "log":
        progress.log(content)
    elif kind == "error":
        raise content
    else:
        bare, weights, nondeterministic = content
        found += [replace(one, weights=safetensors.torch.load(raw)) for one, raw in zip(bare, weights, strict=True)]
        for name in nondeterministic:
            warnings.warn(f"{name} does not have a deterministic implementation", stacklevel=2)
        return False
    return True


def _work(
    parcel: _Parcel, numbers: list[int], chunk: int, pipe: Connection, lifeline: Connection, train: Train
) -> None:
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    try:
        plan = parcel.plan()
        with (
            device.threads(parcel.threads),
            device.determinism(parcel.params.train.deterministic) as nondeterministic,
        ):
            found = train(plan, numbers, chunk, _Relay(pipe))
        # Weights travel as bytes: torch would send them through shared memory, which containers keep small.
        weights = [safetensors.torch.save(one.weights) for one in found]
        bare = [replace(one, execution="processes", weights={}) for one in found]
        pipe.send(("done", (bare, weights, nondeterministic)))
    except AssayError as error:
        pipe.send(("error", error))
    except Exception as error:
        pipe.send(("error", RuntimeError(contract.brief(error))))


def _die_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
