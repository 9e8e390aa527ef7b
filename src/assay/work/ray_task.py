"""What a Ray task runs: one worker, which is asked to end when its launch says so.

Ray finds this by its name on the node. What it returns is nothing, and nobody asks: results are sealed entries. Not
covered: the worker (`work.run_request`), who submits tasks (`work.ray_server`).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: seconds between two looks at the worker, and at whether it was cancelled
PAUSE = 0.5
#: seconds that a worker gets to put what it has into the shared folder
GRACE = 60.0
#: variable by which Ray gives a task its GPUs
_DEVICES = "CUDA_VISIBLE_DEVICES"


def work(command: Sequence[str], variables: Mapping[str, str], log: str, cancelled: str) -> None:
    """Run `command` with these variables and the GPUs that Ray gives; `cancelled`: a file that says to end it."""
    own = {_DEVICES: os.environ[_DEVICES]} if _DEVICES in os.environ else {}
    with Path(log).open("ab") as stream:
        child = subprocess.Popen(
            command, env={**variables, **own}, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        while child.poll() is None:
            if Path(cancelled).exists():
                _end(child)
            time.sleep(PAUSE)
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
        child.kill()
        child.wait()
