"""A worker: trains the replicates of one request with the code of its tree, and puts the sealed entries into the shared
folder.

It may be run any number of times, anywhere, at once: what is sealed is not trained again, what another worker holds is
left to it, and what comes late has the same address. Runs no DVC command, takes no lock of DVC, judges nothing. Not
covered: the process that trains (`stages.answer_request`), who starts workers (`work.local_engine`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.core import schemas
from assay.core.errors import AssayError, Exit, UsageError
from assay.core.schemas import MeasureRequest
from assay.core.work_records import SharedPaths, WorkFailure, WorkRequest
from assay.core.work_stage_records import WorkerTask
from assay.replicates import shared_entries
from assay.runtime import files, leases, library_fingerprint, shared_files
from assay.runtime.leases import Lease
from assay.work import carried_checkpoints, requeued_job, tree_pack, worker_data, worker_environment

#: seconds between two looks at the process that trains
PAUSE = 0.2
#: last lines of what it printed that a failure keeps, and their length
LINES, LENGTH = 12, 300
#: exit code of a worker that was asked to end: 128 + SIGTERM
ENDED = 143
#: the process that trains may have so many seconds to end by itself
GRACE = 5.0

Say = Callable[[str], object]


class WorkerEnded(BaseException):
    """The worker was asked to end: cancelled, preempted, or its time is up."""


@dataclass
class Worker:
    """One worker at one request. `lease`: seconds without a sign of life after which others may take over."""

    request: WorkRequest
    shared: Path
    say: Say
    lease: float = leases.SECONDS
    also: Sequence[str] = ()  # names of variables that reach the process that trains, beside those of the list
    held: dict[int, Lease] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    beaten: float = 0.0

    @property
    def paths(self) -> SharedPaths:
        return SharedPaths(self.shared)

    def entry(self, number: int) -> str:
        return self.request.entries[self.request.numbers.index(number)]

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Those of `numbers` that are not sealed in the shared folder."""
        evaluated = self.request.evaluated
        return [one for one in numbers if not shared_entries.has(self.shared, self.entry(one), evaluated)]


def read(shared: Path, name: str) -> WorkRequest:
    """The request called `name`. Raises UsageError where it is not there, or is not what its name says."""
    path = SharedPaths(shared).request(name)
    request = schemas.decode(files.read_bytes(path, "assay work status"), WorkRequest, str(path))
    if request.id != name:
        raise UsageError(f"{path} is not the request that its name says", hint=f"rm '{path}', then submit it again")
    return request


def run(shared: Path, name: str, say: Say, lease: float = leases.SECONDS, also: Sequence[str] = ()) -> int:
    """Answer the request `name`; the worker's exit code: 0 where nothing is left to do for it."""
    worker = Worker(read(shared, name), shared, say, lease, also)
    before = [(number, signal.signal(number, _end)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        return _answered(worker)
    except WorkerEnded:
        say("asked to end: what was sealed is kept, and the leases are given back")
        return ENDED
    finally:
        for one in worker.held.values():
            one.release()
        for number, handler in before:
            signal.signal(number, handler)


def _end(_number: int, _frame: object) -> None:
    raise WorkerEnded


def _answered(worker: Worker) -> int:
    request = worker.request
    todo = worker.missing(request.numbers)
    if not todo:
        worker.say(f"all of {_named(request.numbers)} are sealed already")
        return Exit.DONE
    todo = _claimed(worker, todo)
    if not todo:
        return Exit.DONE
    with tempfile.TemporaryDirectory(prefix="assay-work-") as place:  # mode 0700
        try:
            project = tree_pack.unpack(request, worker.shared, Path(place) / "tree")
            worker_data.link_files(request.files, project, worker.shared)
            parts = [worker_data.part(digest, worker.shared) for digest in (request.train, request.evaluated)]
            for number in todo:
                _refuse_unequal(worker, number)
        except AssayError as error:
            _fail(worker, todo, error.exit_code, [error.sentence])
            return error.exit_code
        return _trained(worker, todo, project, Path(place), parts)


def _claimed(worker: Worker, todo: Sequence[int]) -> list[int]:
    """Those of `todo` that nobody else is training; a group that trains together goes whole or not at all."""
    places = [worker.paths.leases(worker.entry(number)) for number in todo]
    requeued_job.wait_for_lost(places, worker.request.id, worker.lease, worker.say)
    for number in todo:
        taken = leases.take(worker.paths.leases(worker.entry(number)), worker.lease, worker.request.id)
        if taken is not None:
            worker.held[number] = taken
            continue
        other = leases.holder(worker.paths.leases(worker.entry(number)), worker.lease)
        worker.say(f"replicate {number} is being trained by {other.host if other else 'another worker'}")
    mine = worker.missing(worker.held)  # sealed since we looked
    if worker.request.execution == "fused" and len(worker.held) < len(todo):
        mine = []
    for number in set(worker.held) - set(mine):
        worker.held.pop(number).release()
    return mine


def _refuse_unequal(worker: Worker, number: int) -> None:
    """Raises IncomparableError where machines have made other bytes of this replicate."""
    aside = worker.paths.unequal(worker.entry(number))
    if aside.is_dir():
        hosts = tuple(shared_files.names(aside))
        raise shared_entries.refused(shared_entries.UnequalEntries(worker.entry(number), hosts), worker.shared)


def _trained(worker: Worker, todo: list[int], project: Path, place: Path, parts: Sequence[Path]) -> int:
    """Train `todo`; one that fails is named, and the others go on."""
    code, cache = int(Exit.DONE), place / "cache"
    carried_checkpoints.bring(worker.paths.checkpoints(worker.request.id), cache / "checkpoints")
    while todo:
        begun, log = place / "begun", place / "log.txt"
        begun.unlink(missing_ok=True)
        try:
            tree_pack.check_unchanged(worker.request, project)
        except AssayError as error:
            _fail(worker, todo, error.exit_code, [error.sentence])
            return error.exit_code
        ended = _child(worker, todo, project, place, parts, log)
        if not _publish(worker, cache):
            code = code or Exit.INCOMPARABLE
        left = worker.missing(todo)
        _keep_log(worker, [one for one in todo if one not in left], log)
        if not left:
            break
        failed = left[:1] if begun.exists() and len(left) > 1 else left
        _fail(worker, failed, ended, _last(log))
        _keep_log(worker, failed, log)
        code = code or (ended if 0 < ended < 128 else Exit.BUG)
        todo = [one for one in left if one not in failed]
    if not code:
        carried_checkpoints.remove(worker.paths.checkpoints(worker.request.id))
        worker.say(f"sealed {_named(worker.request.numbers)}")
    return code


def _child(worker: Worker, todo: Sequence[int], project: Path, place: Path, parts: Sequence[Path], log: Path) -> int:
    """Run the process that trains `todo`, giving signs of life meanwhile; its exit code, negative for a signal."""
    task = place / "task.json"
    files.write_bytes(task, schemas.encode(_task(worker, todo, place, parts)))
    environment = worker_environment.allowed(worker.also)
    with log.open("wb") as stream:
        command = library_fingerprint.command("answer_request", str(task))
        child = subprocess.Popen(
            command, cwd=project, env=environment, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        while (code := child.poll()) is None:
            _beat(worker, place / "cache")
            time.sleep(PAUSE)
        return code
    except WorkerEnded:
        _stop(child)
        carried_checkpoints.keep(place / "cache" / "checkpoints", worker.paths.checkpoints(worker.request.id))
        _publish(worker, place / "cache")
        raise
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _beat(worker: Worker, cache: Path) -> None:
    """A sign of life for each lease, and what is finished so far, a few times in the length of a lease."""
    now = time.monotonic()
    if now - worker.beaten < worker.lease / leases.BEATS:
        return
    worker.beaten = now
    for number, one in list(worker.held.items()):
        if not one.beat():
            # its bytes are as good as those of who took over: training goes on
            worker.say(f"the lease of replicate {number} was taken over")
            del worker.held[number]
    _publish(worker, cache)
    carried_checkpoints.keep(cache / "checkpoints", worker.paths.checkpoints(worker.request.id))


def _task(worker: Worker, todo: Sequence[int], place: Path, parts: Sequence[Path]) -> WorkerTask:
    request = worker.request
    measure = MeasureRequest(
        profile=request.profile,
        purpose=request.purpose,
        seed=request.seed,
        replicates=list(todo),
        device=request.device,
        environment=request.environment.key,
        code=request.code,
        execution=request.execution,
        train=str(parts[0]),
        evaluate=str(parts[1]),
        models=str(place / "models"),
        predictions=str(place / "predictions"),
        curves=str(place / "curves.csv"),
        log=str(place / "training.log"),
        answer=str(place / "answer.json"),
        cache=str(place / "cache"),
    )
    return WorkerTask(
        measure=measure,
        environment=request.environment,
        parameters=request.parameters,
        entries=[worker.entry(number) for number in todo],
        examined=request.first,
        begun=str(place / "begun"),
        starter=os.getpid(),
    )


def _publish(worker: Worker, cache: Path) -> bool:
    """Put what is sealed in the worker's own cache into the shared folder; False where hosts disagree about it."""
    fine = True
    made = shared_entries.made_here(time.monotonic() - worker.began, worker.request.id)
    for folder in sorted((cache / "replicates").glob("*")):
        if not folder.is_dir():
            continue
        finding = shared_entries.publish(folder, worker.shared, made)
        if finding is not None:
            worker.say(shared_entries.refused(finding, worker.shared).sentence)
            fine = False
    for number in [one for one in worker.held if one not in worker.missing(worker.held)]:
        worker.held.pop(number).release()
    return fine


def _fail(worker: Worker, numbers: Sequence[int], code: int, lines: Sequence[str]) -> None:
    """Leave the failure where the launching machine looks for it."""
    failure = WorkFailure(
        request=worker.request.id, numbers=list(numbers), host=shared_files.host(), code=code, lines=list(lines)
    )
    name = f"{numbers[0]}-{failure.host}.json"
    shared_files.write(worker.paths.failures(worker.request.id) / name, schemas.encode(failure))
    worker.say(f"{_named(numbers)} failed on {failure.host} with {code}: {lines[-1] if lines else 'no message'}")


def _last(log: Path) -> list[str]:
    text = (shared_files.read(log) or b"").decode("utf-8", "replace")
    lines = [line.strip()[:LENGTH] for line in text.split("\n") if line.strip()]
    return lines[-LINES:]


def _keep_log(worker: Worker, numbers: Sequence[int], log: Path) -> None:
    """Put what was printed, and the training's own log, beside each replicate that it is about."""
    content = (shared_files.read(log.with_name("training.log")) or b"") + (shared_files.read(log) or b"")
    for number in numbers:
        name = f"{number}-{shared_files.host()}.log"
        shared_files.write(worker.paths.logs(worker.request.id) / name, content)


def _named(numbers: Sequence[int]) -> str:
    return f"replicate {numbers[0]}" if len(numbers) == 1 else f"replicates {', '.join(map(str, numbers))}"
