"""The driver of one launch on a Ray cluster: submits tasks, so many at a time, and waits by `ray.wait` alone.

It outlives the command that asked. What a task returns is never fetched: a request is done when its replicates are
sealed, or when its failure stands in the shared folder. One that ended with neither, as its node was lost or its lease
was a dead worker's, goes back to the queue. Not covered: who asks (`work.ray_engine`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from assay.core import schemas
from assay.core.work_records import SharedPaths, WorkRequest
from assay.replicates import shared_entries
from assay.runtime import files, leases, shared_files
from assay.work import ray_task, worker_environment
from assay.work.engine_protocol import QUEUED, RUNNING, WorkOptions, worker
from assay.work.ray_options import AskedCluster, connected, of_task
from assay.work.ray_package import ray

#: files of a launch: what its server is asked, and job → state
ASKED, STATES = "asked.json", "states.json"
#: place of the lease that the server holds while it lives
SERVING = "serving"
#: seconds without a sign of life after which the server is taken for dead
ALIVE = 60.0
#: seconds between two looks, and times that a request which ends without a word is tried
_PAUSE, _TRIES = 1.0, 5


@dataclass
class _Queue:
    """Requests of one launch: those that wait, until when, and those that are at work."""

    asked: AskedCluster
    folder: Path
    say: Callable[[str], object]
    waiting: dict[str, float]  # request → moment before which it is not tried
    tries: dict[str, int] = field(default_factory=dict)
    running: dict[Any, str] = field(default_factory=dict)  # Ray's name of a task → request
    told: dict[str, str] = field(default_factory=dict)

    @property
    def shared(self) -> Path:
        return Path(self.asked.shared)

    def tell(self) -> None:
        """Write the states down, where they changed."""
        states = dict.fromkeys(self.waiting, QUEUED) | dict.fromkeys(self.running.values(), RUNNING)
        if states != self.told:
            files.write_bytes(self.folder / STATES, msgspec.json.encode(states))
            self.told = states

    def is_cancelled(self, name: str) -> bool:
        return self.mark(name).exists()

    def mark(self, name: str) -> Path:
        return self.folder / f"{name}.cancelled"

    def start(self) -> None:
        """Submit what may begin."""
        options = WorkOptions(self.asked.parallel, self.asked.lease, tuple(self.asked.also))
        variables = worker_environment.allowed(self.asked.also)
        for name in [one for one in self.waiting if self.is_cancelled(one)]:
            del self.waiting[name]
        ready = [name for name, after in self.waiting.items() if after <= time.monotonic()]
        for name in ready[: max(0, self.asked.parallel - len(self.running))]:
            task = ray.remote(ray_task.work).options(**of_task(self.asked), name=f"assay {name[:12]}")
            command = worker(name, self.shared, options)
            log, mark = self.folder / f"{name}.log", self.mark(name)
            self.running[task.remote(command, variables, str(log), str(mark))] = name
            self.tries[name] = self.tries.get(name, 0) + 1
            del self.waiting[name]

    def ended(self, task: Any) -> None:
        """A task is no more: its request is done, failed, or goes back."""
        name = self.running.pop(task)
        path = SharedPaths(self.shared)
        request = schemas.decode(files.read_bytes(path.request(name)), WorkRequest, name)
        left = shared_entries.missing(self.shared, request.entries, request.evaluated)
        if not left or self.is_cancelled(name) or shared_files.names(path.failures(name)):
            self.say(f"{name}: {'sealed' if not left else 'ended'}")
        elif self.tries[name] < _TRIES or any(leases.holder(path.leases(entry)) for entry in left):
            self.say(f"{name}: {len(left)} replicates are left, it goes back to the queue")
            held = any(leases.holder(path.leases(entry)) for entry in left)
            self.waiting[name] = time.monotonic() + (self.asked.lease / leases.BEATS if held else _PAUSE)
        else:
            self.say(f"{name}: ended {_TRIES} times without a word")


def serve(folder: Path, say: Callable[[str], object]) -> None:
    """Have the requests of a launch worked on until none is left. Raises UsageError where no cluster is reached."""
    asked = msgspec.json.decode(files.read_bytes(folder / ASKED), type=AskedCluster)
    queue = _Queue(asked, folder, say, dict.fromkeys(asked.requests, 0.0))
    lease = leases.take(folder / SERVING, ALIVE)
    try:
        with connected(asked.address):
            while queue.waiting or queue.running:
                queue.start()
                queue.tell()
                if lease is not None:
                    lease.beat()
                if not queue.running:
                    time.sleep(_PAUSE)
                    continue
                done, _ = ray.wait(list(queue.running), num_returns=1, timeout=_PAUSE, fetch_local=False)
                for task in done:
                    queue.ended(task)
            queue.tell()
    finally:
        if lease is not None:
            lease.release()
