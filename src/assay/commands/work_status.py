"""`assay work status`, `cancel` and `logs`: how far launches are, as the shared folder and their engines tell.

A replicate is done when it is sealed, whatever an engine says of its job. Covers: what is sealed, at work, waiting,
failed, lost; ending jobs; files that workers printed. Not covered: submitting (`commands.work`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from assay.core.errors import AssayError, UsageError
from assay.core.schemas import DAMAGE
from assay.core.work_records import Launch, SharedPaths, WorkFailure, WorkRequest
from assay.replicates import shared_entries
from assay.runtime import files, leases, shared_files
from assay.work import engines
from assay.work.engine_protocol import GONE, QUEUED, RUNNING

Say = Callable[[str], None]
#: states of a request
SEALED, FAILED, LOST = "sealed", "failed", "lost"
#: lines of a job that left nothing else
LINES = 3

R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True)
class RequestState:
    """One request. `host`: where it is at work, or failed; `lines`: the last ones of a failure."""

    request: str
    job: str
    arm: str
    numbers: tuple[int, ...]
    state: str
    host: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class LaunchState:
    """One launch and its requests. `sealed` and `replicates` count replicates."""

    launch: Launch
    requests: list[RequestState]
    sealed: int
    replicates: int

    def count(self, state: str) -> int:
        return sum(one.state == state for one in self.requests)

    @property
    def seconds_left(self) -> float | None:
        """By what a training took before; None where nobody knows, 0 where nothing is at work."""
        waiting = sum(len(one.numbers) for one in self.requests if one.state in (QUEUED, RUNNING))
        each = self.launch.seconds
        return None if each is None else waiting * each / max(1, min(self.launch.parallel, waiting))


@dataclass(frozen=True)
class WorkState:
    """All launches of this user in a shared folder, the newest last, and replicates that machines disagree about."""

    shared: str
    launches: list[LaunchState] = field(default_factory=list)
    unequal: list[shared_entries.UnequalEntries] = field(default_factory=list)


def status(shared: Path, say: Say) -> WorkState:
    """How far all launches are. `say` is told of one whose engine cannot be asked."""
    found = [_state(shared, launch, say) for launch in launches(shared)]
    return WorkState(str(shared), found, shared_entries.unequal(shared))


def launches(shared: Path) -> list[Launch]:
    """Launches that this user may read, in the order in which they were submitted."""
    paths = SharedPaths(shared)
    found = (_read(paths.launch(name), Launch) for name in shared_files.names(paths.launches))
    return [one for one in found if one is not None]


def under_way(shared: Path, say: Say) -> set[str]:
    """Requests that a job of some launch waits for, or is at work on."""
    found: set[str] = set()
    for launch in launches(shared):
        states = _polled(shared, launch, say)
        found |= {one.request for one in launch.jobs if states.get(one.job, GONE) != GONE}
    return found


def cancel(shared: Path, names: Sequence[str], say: Say) -> int:
    """End the jobs of launches, of all where none is named; how many jobs were under way."""
    count = 0
    for launch in _called(shared, names):
        states = _polled(shared, launch, say)
        jobs = [one.job for one in launch.jobs if states.get(one.job, GONE) != GONE]
        if jobs:
            engines.engine(launch.engine).cancel(jobs, SharedPaths(shared).jobs(launch.name))
            count += len(jobs)
    return count


def logs(shared: Path, name: str, folder: Path) -> list[Path]:
    """Copy what workers of a launch printed into `folder`, a file for each replicate and host; the files.

    Raises UsageError for a launch that is not there.
    """
    (launch,) = _called(shared, [name])
    paths, made = SharedPaths(shared), []
    for one in launch.jobs:
        request = _read(paths.request(one.request), WorkRequest)
        if request is None:
            continue
        for log in shared_files.names(paths.logs(one.request)):
            content = shared_files.read(paths.logs(one.request) / log)
            if content is not None:
                made.append(folder / f"{request.arm}-{log}")
                files.write_bytes(made[-1], content)
    return made


def _called(shared: Path, names: Sequence[str]) -> list[Launch]:
    """Launches of these names, all where none is named. Raises UsageError for one that is not there."""
    known = {one.name: one for one in launches(shared)}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"there is no launch {unknown[0]!r}", allowed=", ".join(known) or "none was submitted")
    return [known[name] for name in names or known]


def _state(shared: Path, launch: Launch, say: Say) -> LaunchState:
    states = _polled(shared, launch, say)
    there = set(shared_files.names(SharedPaths(shared).replicates))
    found, sealed, replicates = [], 0, 0
    for one in launch.jobs:
        request = _read(SharedPaths(shared).request(one.request), WorkRequest)
        if request is None:
            found.append(RequestState(one.request, one.job, "", (), LOST))
            continue
        done = _sealed(shared, request, there)
        sealed, replicates = sealed + done, replicates + len(request.numbers)
        state = _request(shared, request, one.job, done, states.get(one.job, GONE))
        found.append(replace(state, lines=_last_lines(shared, launch, one.job)) if state.state == LOST else state)
    return LaunchState(launch, found, sealed, replicates)


def _last_lines(shared: Path, launch: Launch, job: str) -> tuple[str, ...]:
    """What a job printed last that left neither a result nor a failure."""
    try:
        written = engines.engine(launch.engine).logs(job, SharedPaths(shared).jobs(launch.name))
    except AssayError:
        return ()
    text = "\n".join((shared_files.read(path) or b"").decode("utf-8", "replace") for path in written)
    return tuple(line.strip() for line in text.split("\n") if line.strip())[-LINES:]


def _sealed(shared: Path, request: WorkRequest, there: set[str]) -> int:
    """Replicates of a request that are sealed; `there` spares a look at each that is not."""
    return sum(name in there and shared_entries.has(shared, name, request.evaluated) for name in request.entries)


def _request(shared: Path, request: WorkRequest, job: str, done: int, polled: str) -> RequestState:
    def state(word: str, host: str = "", lines: Sequence[str] = ()) -> RequestState:
        return RequestState(request.id, job, request.arm, tuple(request.numbers), word, host, tuple(lines))

    if done == len(request.numbers):
        return state(SEALED)
    failures = list(_failures(shared, request))
    holders = (leases.holder(SharedPaths(shared).leases(name)) for name in request.entries)
    held = next((one for one in holders if one is not None), None)
    if held is not None:
        return state(RUNNING, held.host)
    if failures and polled != QUEUED:
        return state(FAILED, failures[-1].host, failures[-1].lines)
    return state(LOST if polled == GONE else polled)


def _failures(shared: Path, request: WorkRequest) -> Iterator[WorkFailure]:
    folder = SharedPaths(shared).failures(request.id)
    found = (_read(folder / name, WorkFailure) for name in shared_files.names(folder))
    return (one for one in found if one is not None)


def _polled(shared: Path, launch: Launch, say: Say) -> dict[str, str]:
    try:
        return engines.engine(launch.engine).poll(
            [one.job for one in launch.jobs], SharedPaths(shared).jobs(launch.name)
        )
    except AssayError as error:
        say(f"{launch.name}: {error.sentence}")
        return {}


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        return msgspec.json.decode(shared_files.read(path) or b"", type=kind)
    except DAMAGE:
        return None
