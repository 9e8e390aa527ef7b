"""Stages die with their parent: a killed `dvc` must not leave a training that collides with the next run.

On Linux the kernel sends the signal (prctl, PR_SET_PDEATHSIG); everywhere a thread looks twice a second
whether the parent, and the parent of a shell in between, are still the ones that started us. Also: how many
processes can be at work at once.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

from assay.runtime import container_limits

_PR_SET_PDEATHSIG = 1
#: variable of the environment of processes that train one arm while another may train the other
BESIDE = "ASSAY_BESIDE"

#: of the thread that looks
NAME = "lifeline"

_SECONDS = 0.5
_SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh")


def hold(starter: int | None = None) -> None:
    """End this process when the process that started it ends; `starter` is that one, where its number is known."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.getppid()
    if starter not in (None, parent):
        os.kill(os.getpid(), signal.SIGKILL)  # it ended before we looked
    watched = [parent, *_beyond_shell(parent)]
    if watched[-1] == 1 and _left_to_init():
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=_watch, args=(watched,), name=NAME, daemon=True).start()


def processors() -> int:
    """Processors that this process and its children may use; a part of one, as containers may get, counts as one."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(here, container_limits.processors()))


def share() -> int:
    """Of `processors`, those that stay for this arm while the other may train beside it."""
    return processors() // 2 if BESIDE in os.environ else processors()


def _beyond_shell(parent: int) -> list[int]:
    """The process behind the shell that runs our command line, where /proc tells."""
    try:
        stat = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
    return [int(rest[1])] if name in _SHELLS else []


def _left_to_init() -> bool:
    """Whether DVC started us and was gone before we looked. In a container DVC itself may be process 1."""
    try:
        first = Path("/proc/1/cmdline").read_bytes()
    except OSError:
        return False
    return "DVC_ROOT" in os.environ and b"dvc" not in first and b"python" not in first


def _watch(watched: list[int]) -> None:
    parent = watched[0]
    while os.getppid() == parent and all(alive(pid) for pid in watched[1:]):
        time.sleep(_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process of this number exists, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
