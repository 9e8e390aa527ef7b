"""Replicates over the places of `machine.devices`: a process each, which takes the next piece of work when it is free.

A piece is a fixed group of lanes that travels whole, or one replicate that trains alone. All of a group train together,
also those that are at hand already and are thrown away: so bytes follow from the group, and never from the number of
places, from which of them had it, or from what an interrupted run left over. Covers: pieces, processes, what comes
back. Not covered: loops of a task's own (`training.loop_devices`), which places there are (`runtime.device_places`).
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest, Note
from assay.replicates import train_and_eval_examples
from assay.replicates.replicate_cache import Names
from assay.replicates.training_progress import Only, Watcher
from assay.runtime import device_places, tracked_code_check
from assay.runtime.device_places import DevicePlace
from assay.training import configured_task, device, request_plan, worker_processes
from assay.training.training_spec import Recording, TrainingPlan
from assay.training.worker_processes import Train, WorkerEnd, WorkerRelay

#: lanes of a group: numbers 0–7, 8–15, …
LANES = 8


class WorkPiece(NamedTuple):
    """What travels to a place. `lanes` train together, up to `chunk` at a time; `wanted` of them are kept."""

    lanes: list[int]
    wanted: list[int]
    chunk: int = LANES


class TrainingOrder(NamedTuple):
    """All that a process needs to make the plan by itself, where it is no copy of one that has it."""

    request: MeasureRequest
    params: Params
    root: Path  # folder of dvc.yaml
    names: Names
    recording: Recording | None

    def plan(self, where: str) -> TrainingPlan:
        """The plan, on the device that this process has taken."""
        sample = train_and_eval_examples.read(self.request, self.params)
        task = configured_task.load(self.params, self.root, sample.train)
        made = request_plan.of(
            self.request, self.params, task, device.choose(where), sample.train, sample.evaluated, self.names
        )
        return replace(made, recording=self.recording)


def groups(numbers: Iterable[int]) -> list[list[int]]:
    """`numbers`, in order, by fixed groups: what a request has of 0–7, of 8–15, …"""
    return [list(same) for _, same in itertools.groupby(sorted(numbers), lambda number: number // LANES)]


def pieces(group: Sequence[int], numbers: Sequence[int], *, together: bool) -> list[WorkPiece]:
    """Work for the replicates `numbers` of `group`; `together` in lanes, else one by one."""
    if not together:
        return [WorkPiece([number], [number], 1) for number in numbers]
    shares = ((lanes, [one for one in lanes if one in numbers]) for lanes in groups(group))
    return [WorkPiece(lanes, wanted) for lanes, wanted in shares if wanted]


def run(
    order: TrainingOrder,
    plan: TrainingPlan,
    work: Sequence[WorkPiece],
    places: Sequence[DevicePlace],
    progress: Watcher,
    notes: list[Note],
    train: Train,
) -> None:
    """Train all of `work`, and give `progress` what comes. `plan` is that of this process, for those that copy it.

    Where one place fails the others finish what is waiting; then the first failure is raised.
    """
    pool = _Pool(order, plan, list(work), progress, notes, train)
    try:
        for place in places[: len(work)]:
            pool.start(place)
        while pool.busy:
            for pipe in wait(list(pool.busy)):
                pool.hear(pipe)
    finally:
        pool.stop()
    if pool.failed is not None:
        raise pool.failed


class _Pool:
    """Processes at work, and what is waiting for one of them."""

    def __init__(
        self,
        order: TrainingOrder,
        plan: TrainingPlan,
        waiting: list[WorkPiece],
        progress: Watcher,
        notes: list[Note],
        train: Train,
    ) -> None:
        self.order, self.plan, self.waiting, self.train = order, plan, waiting, train
        self.progress, self.notes = progress, notes
        self.busy: dict[Any, tuple[Any, DevicePlace]] = {}  # our end of a pipe → its process and place
        self.failed: Exception | None = None
        self.forks = worker_processes.forks()

    def start(self, place: DevicePlace) -> None:
        context: Any = multiprocessing.get_context("fork" if self.forks else "spawn")
        ours, theirs = context.Pipe()
        plan = self.plan if self.forks else None
        held = [ours, *self.busy] if self.forks else []  # a copy has them, too: it would never see one end
        process = context.Process(target=_work, args=(self.order, plan, place, theirs, held, self.train), daemon=True)
        try:
            process.start()
        except OSError as error:
            what = f"a process for {place} could not be started ({error.strerror})"
            raise AssayError(what, hint="name fewer in machine.devices") from error
        finally:
            theirs.close()
        self.busy[ours] = process, place
        ours.send(self.waiting.pop(0))

    def hear(self, pipe: Any) -> None:
        """One message of a process; the last tells what became of it."""
        process, place = self.busy[pipe]
        try:
            kind, content = pipe.recv()
        except (EOFError, ConnectionResetError):
            kind, content = "error", AssayError(f"the process on {place} was killed", hint="run the same command again")
        if kind == "next":
            pipe.send(self.waiting.pop(0) if self.waiting else None)
        elif kind == "error":
            self.failed = self.failed or content
            self._end(pipe, process)
        elif kind == "done":
            self.notes += [note for note in content.notes if note not in self.notes]
            worker_processes.said(content, self.order.root)
            self._end(pipe, process)
        else:
            worker_processes.relay(kind, content, self.progress)

    def _end(self, pipe: Any, process: Any) -> None:
        del self.busy[pipe]
        pipe.close()
        process.join()

    def stop(self) -> None:
        for process, _ in self.busy.values():
            process.terminate()


def _work(
    order: TrainingOrder,
    plan: TrainingPlan | None,
    place: DevicePlace,
    pipe: Connection,
    held: Sequence[Connection],
    train: Train,
) -> None:
    """One place's process."""
    for one in held:
        one.close()
    worker_processes.serve(pipe, lambda: _trained(order, plan, place, pipe, train))


def _trained(
    order: TrainingOrder, plan: TrainingPlan | None, place: DevicePlace, pipe: Connection, train: Train
) -> WorkerEnd:
    notes: list[Note] = []
    settings = order.params.train
    device_places.take([place])
    with (
        device.threads(1),  # whatever the number of places leaves of this machine
        device.products(settings.precision),
        device.determinism(settings.deterministic) as nondeterministic,
    ):
        plan = plan or order.plan(place.device)
        while (piece := pipe.recv()) is not None:
            train(plan, piece.lanes, piece.chunk, Only(WorkerRelay(pipe), piece.wanted), notes)
            pipe.send(("next", None))
    return WorkerEnd(nondeterministic, notes, tracked_code_check.imported(order.root))
