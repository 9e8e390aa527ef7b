"""A replicate of a loop of the task's own, in a process of its own.

That is a copy of this process, which has imported the task, where a copy is as good as a new one; else a fresh one.
Covers: what goes there, what comes back, how an end without an answer is told. Not covered: what a replicate is
(`training.custom_fit`), and which are trained (`training.loop_replicates`).
"""

from __future__ import annotations

import bdb
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest, Note
from assay.data.storage import Examples
from assay.replicates import split_examples
from assay.replicates.replicate_result import Outcome, Point
from assay.runtime import (
    device_places,
    fork_safety,
    parent_watch,
    progress_line,
    sys_path,
    task_source,
    tracked_code_check,
)
from assay.runtime.device_places import DevicePlace
from assay.runtime.supervised_process import ProcessEnd, SupervisedProcess
from assay.training import configured_task, custom_fit, device, loop_watch, task_interface, torchrun
from assay.training.custom_fit import LoopRun
from assay.training.example_inputs import DecodeCache
from assay.training.random_streams import Streams
from assay.training.task_interface import Task
from assay.training.torchrun import Rank, RankAnswer
from assay.training.training_spec import Recording

_BREAKPOINT = UsageError(
    "a breakpoint found no terminal: each replicate is a process of its own", hint="assay check --stage train"
)
_ENTRY = f"{__name__}:work"
#: Python threads of ours, which hold nothing that a copy would miss
_OURS = (parent_watch.NAME, progress_line.NAME)


class ReplicateJob(NamedTuple):
    """One replicate to train, or to predict by the `weights` that it left. All that a fresh process needs."""

    request: MeasureRequest
    params: Params
    root: Path
    number: int
    checkpoints: Path
    weights: bytes | None = None
    watch: str = ""  # module that watches the loop, by its name
    recorder: str = ""  # module that takes down what its network is given, by its name
    places: tuple[tuple[int, str], ...] = ()  # of `machine.devices`, as their fields: one for each of its processes

    @property
    def team(self) -> list[DevicePlace]:
        """The places that this replicate takes."""
        return [DevicePlace(*one) for one in self.places]

    @property
    def processes(self) -> int:
        """How many train it together; weights that are there predict in one."""
        return 1 if self.weights is not None else self.params.train.processes_per_replicate


class ReadyJob(NamedTuple):
    """What a job's process would load and read, where its parent has it already."""

    task: Task
    train: Examples
    evaluated: Examples


class ReplicateAnswer(NamedTuple):
    """What comes back at the end of a job."""

    outcome: Outcome | None  # of a training
    predictions: Any  # of weights that were kept
    nondeterministic: list[str]
    imported: list[str]
    peak_memory: int
    watched: list[dict[str, Any]]  # what the watch found


def warm_up() -> None:
    """Import what any optimizer of torch imports when it is made: once here, and not in each copy (1.3 s)."""
    if fork_safety.can_fork(_OURS):
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])


class RunningReplicate:
    """A job at work in a process of its own; `tell` hears points, notes, and lines that are printed."""

    def __init__(self, job: ReplicateJob, ready: ReadyJob, tell: Callable[[Point | Note | str], None]) -> None:
        self.job, self._task, self._tell = job, ready.task, tell
        fork = fork_safety.can_fork(_OURS)
        plain = tuple(job)  # of the core alone: a fresh process reads it before it forks, without torch by then
        self._process = SupervisedProcess(_ENTRY, (plain, ready if fork else None), fork=fork)
        self._answer: ReplicateAnswer | None = None
        self._failed: Exception | None = None

    @property
    def pipes(self) -> list[Connection]:
        """Where something comes from it."""
        return self._process.pipes

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.over

    def hear(self) -> None:
        """Take what is there by now."""
        self._take(self._process.heard())

    def answer(self) -> ReplicateAnswer:
        """What became of it, once it has ended.

        Raises what went wrong there as it was said there, and a UsageError where it ended without a word.
        """
        self._take(self._process.last())
        self._process.stop()
        if self._failed is not None:
            raise self._failed
        if self._answer is None:
            raise _silent(self.job, self._task, self._process.end)
        if left := self._process.end.left:
            self._tell(Note(f"replicate {self.job.number} left {', '.join(left[:3])} at work, which was ended"))
        tracked_code_check.met(self.job.root, self._answer.imported)
        return self._answer

    def stop(self) -> None:
        """End it, wherever it stands."""
        self._process.stop()

    def _take(self, events: Iterable[Any]) -> None:
        for event in events:
            if isinstance(event, ReplicateAnswer):
                self._answer = event
            elif isinstance(event, Exception):
                self._failed = event
            else:
                self._tell(event)


def run(job: ReplicateJob, ready: ReadyJob, tell: Callable[[Point | Note | str], None]) -> ReplicateAnswer:
    """Do the job in a process of its own, and wait for it."""
    running = RunningReplicate(job, ready, tell)
    try:
        while not running.over:
            wait(running.pipes)
            running.hear()
        return running.answer()
    finally:
        running.stop()


def done_here(job: ReplicateJob, ready: ReadyJob, tell: Callable[[Point | Note | str], None]) -> ReplicateAnswer:
    """Do the job in this process, where a debugger can stop it; it is the only one, where several would share it."""
    if job.processes > 1:
        os.environ.update(torchrun.alone())
    return _answer(job, ready, tell)


def work(payload: Any, messages: Connection) -> None:
    """The job's process."""
    plain, ready = payload
    job = ReplicateJob(*plain)
    try:
        device_places.take(job.team)
        with task_source.said_by_task(job.root, job.params.task.name, "learning"):
            several = job.processes > 1
            answer = _together(job, messages.send) if several else _answer(job, ready or _read(job), messages.send)
            messages.send(answer)
    except AssayError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        messages.send(_BREAKPOINT if isinstance(error.__cause__, bdb.BdbQuit) else error)
    except Exception as error:
        traceback.print_exc()
        messages.send(RuntimeError(task_interface.brief(error)))


def _together(job: ReplicateJob, tell: Callable[[Any], None]) -> ReplicateAnswer:
    """The job, done by several processes; what that of rank 0 answers. Raises what went wrong first in one of them."""
    count, request = job.processes, job.request
    found = device.team(request.device if not job.places else job.team[0].device, count)
    answers = torchrun.run((tuple(job), found), count, _threads(count), tell)
    for one in answers:
        if isinstance(one.content, Exception):
            raise one.content
    first = next(one.content for one in answers if one.rank == 0)
    imported = sorted({name for one in answers for name in one.content.imported})
    return cast(ReplicateAnswer, first._replace(imported=imported))


def _threads(count: int) -> dict[str, str]:
    """Processes of one replicate share the processors; without it torchrun gives each one thread, and says so."""
    each = max(1, parent_watch.processors() // count)
    return {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(each)}


def rank(address: str) -> None:
    """One process of several, for `stages.replicate_rank`. Ends it: with exit code 1 where something went wrong."""
    here = torchrun.joined(address)
    plain, where = here.job
    job = ReplicateJob(*plain)
    os.chdir(job.root)
    sys_path.activate(job.root)
    if job.team and not job.team[0].visible:
        device_places.take([job.team[here.rank]])
    tell = here.messages.send if here.rank == 0 else _nobody
    try:
        with task_source.said_by_task(job.root, job.params.task.name, "learning"):
            content: Any = _answer(job, _read(job), tell, here, where)
    except AssayError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        content = type(error)(f"process {here.rank}: {error.problem}", allowed=error.allowed, hint=error.hint)
    except Exception as error:
        traceback.print_exc()
        content = RuntimeError(task_interface.brief(error))
    here.messages.send(RankAnswer(here.rank, content))
    here.messages.close()
    sys.stdout.flush()
    os._exit(int(isinstance(content, Exception)))  # at once: a thread that was left running would be waited for


def _nobody(_event: Any) -> None:
    """What processes beside that of rank 0 say."""


def _read(job: ReplicateJob) -> ReadyJob:
    sample = split_examples.read(job.request, job.params).of(job.number)
    return ReadyJob(configured_task.load(job.params, job.root, sample.train), sample.train, sample.evaluated)


def _answer(
    job: ReplicateJob, ready: ReadyJob, tell: Callable[[Any], None], here: Rank | None = None, where: str = ""
) -> ReplicateAnswer:
    """`here` and `where`: which of several processes this is, and its kind of device."""
    request, train = job.request, job.params.train
    place = job.team[0] if job.team else None
    number = here.rank if here else 0
    named = f"{where}:{number}" if where == "cuda" else where
    run = LoopRun(
        task=ready.task,
        params=job.params,
        train=ready.train,
        evaluated=ready.evaluated,
        streams=Streams(request.seed, request.purpose, job.number),
        checkpoints=job.checkpoints,
        device=named or (request.device if place is None else place.device),
        cache=DecodeCache(Path(request.cache), request.environment) if request.cache else None,
        tell=tell,
        note=tell,
        recording=Recording.of(job.recorder, job.number, ready.evaluated) if job.recorder and not number else None,
        rank=number,
        world_size=here.world_size if here else 1,
    )
    with (
        device.threads(1) if place is not None and not place.visible else nullcontext(),  # it has one core
        device.products(train.precision),
        device.determinism(train.deterministic) as nondeterministic,
        loop_watch.watching("" if number else job.watch) as watched,
    ):
        if number:
            custom_fit.assist(run)
        outcome = custom_fit.fit(run) if job.weights is None and not number else None
        predictions = None if job.weights is None else custom_fit.predict(run, job.weights)
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    used = torch.device("cuda" if started else "cpu")
    imported = tracked_code_check.imported(job.root)
    return ReplicateAnswer(outcome, predictions, nondeterministic, imported, device.peak_memory(used), watched)


def _silent(job: ReplicateJob, task: Task, end: ProcessEnd) -> UsageError:
    """What is said of a process that ended without an answer."""
    how = f"ended with exit code {end.code}"
    if end.code < 0:
        names = {one.value: one.name for one in signal.Signals}
        how = f"was ended by signal {-end.code} ({names.get(-end.code, 'unknown')})"
    return UsageError(
        f"{task.file}: the process of replicate {job.number}, in which fit() ran, {how}",
        hint=f"see {job.request.log}; too little memory is a frequent reason",
    )
