"""One replicate in several processes, which torchrun starts: `train.processes_per_replicate`.

Covers: starting them in an empty folder, so that no file of the user's hides one of torch's; handing each the job, and
hearing what it says, over a socket in a private folder. Not covered: what a job is (`training.replicate_process`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from assay.core.errors import AssayError
from assay.runtime import library_fingerprint

#: stage of `assay` that each process is
STAGE = "replicate_rank"
_PAUSE = 0.2


class RankAnswer(NamedTuple):
    """What one process says at its end: the answer, or what went wrong in it."""

    rank: int
    content: Any


class Rank(NamedTuple):
    """This process's place among those of its replicate, and the way back to who started them."""

    rank: int
    world_size: int
    job: Any
    messages: Connection


def run(job: Any, count: int, variables: Mapping[str, str], tell: Callable[[Any], None]) -> list[RankAnswer]:
    """Let `count` processes do the job, which can be pickled; the answers, in the order in which they came.

    `tell` is given whatever else they send; `variables` join their environment. Raises AssayError where torchrun ends
    without an answer of each.
    """
    with tempfile.TemporaryDirectory(prefix="assay-ranks-") as folder, socket.socket(socket.AF_UNIX) as server:
        address = str(Path(folder) / "socket")
        server.bind(address)
        server.listen(count)
        place = Path(folder) / "empty"
        place.mkdir()
        process = subprocess.Popen(_command(count, address), cwd=place, env={**os.environ, **variables})
        try:
            found = _heard(server, process, job, tell)
        finally:
            process.terminate()
            code = process.wait()
    if not found or (len(found) < count and not any(isinstance(one.content, Exception) for one in found)):
        raise AssayError(f"torchrun ended with exit code {code}, and {len(found)} of {count} processes had answered")
    return found


def alone() -> dict[str, str]:
    """Variables by which this process is one of one, for `assay check`, where a debugger can stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    return {**here, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _command(count: int, address: str) -> list[str]:
    _, script, *words = library_fingerprint.command(STAGE, address)
    own = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={count}", "--max-restarts=0"]
    return [sys.executable, "-m", "torch.distributed.run", *own, script, *words]


def _heard(
    server: socket.socket, process: subprocess.Popen[bytes], job: Any, tell: Callable[[Any], None]
) -> list[RankAnswer]:
    found: list[RankAnswer] = []
    pipes: list[Any] = [server]
    while True:
        ready: list[Any] = wait(pipes, _PAUSE)
        for one in ready:
            if one is server:
                pipes.append(Connection(server.accept()[0].detach()))
                pipes[-1].send(job)
                continue
            try:
                event = one.recv()
            except (EOFError, OSError):
                pipes.remove(one)
                continue
            if isinstance(event, RankAnswer):
                found.append(event)
            else:
                tell(event)
        if not ready and process.poll() is not None:
            return found


def joined(address: str) -> Rank:
    """This process, which torchrun has started, and its job."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    messages = Connection(client.detach())
    return Rank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), messages.recv(), messages)
