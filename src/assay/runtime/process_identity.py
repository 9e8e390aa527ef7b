"""A process by more than its number: numbers are given again, and mean nothing on another machine or in a container.

Covers: a few values to be written down, and whether that process is at work, ended, or out of sight. Not covered:
ending it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.runtime import parent_watch


def of(pid: int) -> dict[str, object]:
    """Values that name the process `pid` of this machine."""
    return {"pid": pid, "space": _space(), "started": _started(pid)}


def has_ended(said: Mapping[str, object]) -> bool:
    """Whether what `of` said is known to have ended: False for a process of another machine or container."""
    pid, space = said.get("pid"), said.get("space")
    if not isinstance(pid, int) or not space or space != _space():
        return False
    return not parent_watch.alive(pid) or _started(pid) != said.get("started")


def is_here(said: Mapping[str, object]) -> bool:
    """Whether it is at work among the processes of this machine."""
    return bool(said.get("space")) and said.get("space") == _space() and not has_ended(said)


def _space() -> str:
    """This boot of this machine, and the container in it whose process numbers these are; "" where nobody can tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process began, in ticks since the boot; "" for one that ended and whose parent has not looked yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = stat[stat.rindex(")") + 2 :].split()
    return "" if fields[0] in ("Z", "X") else fields[19]
