"""What a container or a batch system leaves of this machine: its limits on processors and memory.

Covers: Linux control groups of both versions, the limits of this process's own group and of all above it. Not
covered: other systems, which have none. Sources: the Linux kernel's admin guide, cgroup-v2.rst (cpu.max, memory.max,
memory.stat) and cgroup-v1/memory.rst; scheduler/sched-bwc.rst for version 1's quota.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def processors(root: Path = _ROOT) -> float:
    """How many processors' time this process may take; infinite without a limit."""
    return min(map(_quota, _groups("cpu", root)), default=math.inf)


def memory(root: Path = _ROOT) -> float:
    """Bytes that this process may still take before it is killed for it; infinite without a limit."""
    return min(map(_left, _groups("memory", root)), default=math.inf)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the control groups that limit this process by `controller`, its own first."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 2 names no controllers, and lies beside the others where version 1 is in use, too.
        for name in (controllers, controller) if controllers else ("", "unified"):
            mount = root / "sys/fs/cgroup" / name
            if (mount / "cgroup.procs").exists():
                own = mount / path.lstrip("/")  # perhaps the host's, of which a container has but `mount`
                yield from (group for group in (own, *own.parents) if group.is_relative_to(mount))
                break


def _quota(group: Path) -> float:
    quota, period = [*_read(group / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = _read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else math.inf


def _left(group: Path) -> float:
    """The limit less what is in use; files that were read can be dropped, and do not count."""
    for limit, usage, dropped in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, used = _read(group / limit).strip(), _read(group / usage).strip()
        if most.isdigit() and used.isdigit():
            stat = dict(line.split() for line in _read(group / "memory.stat").splitlines())
            return max(0, int(most) - int(used) + int(stat.get(dropped, 0)))
    return math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
