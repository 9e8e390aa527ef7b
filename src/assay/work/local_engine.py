"""Workers as processes of this machine, so many at a time, under a server that outlives the command that asked.

Covers: the protocol `work.engine_protocol`. What the server and its workers are is written down in the launch's own
folder, so that any later command finds them. Not covered: devices of one machine, which workers share as the system
gives them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE
from assay.runtime import files, library_fingerprint, parent_watch, process_identity, shared_files
from assay.work import worker_environment
from assay.work.engine_protocol import GONE, QUEUED, RUNNING, WorkOptions, worker

#: file of a launch: what its server is asked
ASKED = "asked.json"
SERVER = "server.json"
_PAUSE = 0.1


class AskedServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a server runs: requests in their order, for workers of this shared folder."""

    requests: list[str]
    shared: str
    parallel: int
    lease: float
    also: list[str]


class LocalEngine:
    """The machine at hand."""

    def check(self, options: WorkOptions) -> None:
        if options.parallel > (most := 4 * parent_watch.processors()):
            raise UsageError(
                f"--max-parallel is {options.parallel}, and this machine has {parent_watch.processors()} processors",
                allowed=f"1 to {most}",
            )
        if options.more:
            raise UsageError(
                f"--option {next(iter(options.more))} is nothing for this machine", allowed="options of --on slurm"
            )

    def submit(self, requests: Sequence[str], shared: Path, folder: Path, options: WorkOptions) -> list[str]:
        asked = AskedServer(list(requests), str(shared), options.parallel, options.lease, list(options.also))
        files.write_bytes(folder / ASKED, msgspec.json.encode(asked))
        with (folder / "server.log").open("ab") as log:
            server = subprocess.Popen(
                library_fingerprint.command("serve_requests", str(folder)),
                cwd=folder,
                env=worker_environment.allowed(options.also),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it goes on when this command has ended, and no Ctrl-C of ours reaches it
            )
        note_process(folder / SERVER, server.pid)
        return list(requests)

    def poll(self, jobs: Sequence[str], folder: Path) -> dict[str, str]:
        serving = is_serving(folder)
        return {job: self._state(folder / f"{job}.json", serving) for job in jobs}

    def cancel(self, jobs: Sequence[str], folder: Path) -> None:
        for job in jobs:
            (folder / f"{job}.cancelled").touch(mode=0o600)
        for job in jobs:
            end(_noted(folder / f"{job}.json"))

    def logs(self, job: str, folder: Path) -> list[Path]:
        return [path for path in (folder / f"{job}.log",) if path.is_file()]

    @staticmethod
    def _state(path: Path, serving: bool) -> str:
        if path.exists():
            return RUNNING if process_identity.is_here(_noted(path)) else GONE
        return QUEUED if serving and not path.with_suffix(".cancelled").exists() else GONE


def is_serving(folder: Path) -> bool:
    """Whether the server of a launch is a process of this machine, and alive."""
    return process_identity.is_here(_noted(folder / SERVER))


def end(said: dict[str, Any]) -> None:
    """Ask a process that `process_identity.of` named to end; one that is no more is no error."""
    if process_identity.is_here(said):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(int(said["pid"]), signal.SIGTERM)


def serve(folder: Path, say: Callable[[str], object]) -> None:
    """Run the workers of a launch, so many at a time, until there are no more."""
    asked = msgspec.json.decode(files.read_bytes(folder / ASKED), type=AskedServer)
    options = WorkOptions(asked.parallel, asked.lease, tuple(asked.also))
    running: dict[str, subprocess.Popen[bytes]] = {}
    waiting = list(asked.requests)
    while waiting or running:
        for name in [name for name, process in running.items() if process.poll() is not None]:
            say(f"{name}: {running.pop(name).returncode}")
        while waiting and len(running) < asked.parallel:
            name = waiting.pop(0)
            if not (folder / f"{name}.cancelled").exists():
                running[name] = _started(name, folder, Path(asked.shared), options)
        time.sleep(_PAUSE)


def _started(name: str, folder: Path, shared: Path, options: WorkOptions) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            worker(name, shared, options),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    note_process(folder / f"{name}.json", process.pid)
    return process


def note_process(path: Path, pid: int) -> None:
    """Write down which process it is, for any later command of this machine."""
    files.write_bytes(path, json.dumps(process_identity.of(pid)).encode())


def _noted(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(shared_files.read(path) or b"{}")
    except DAMAGE:
        return {}
    return found if isinstance(found, dict) else {}
