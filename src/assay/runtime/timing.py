"""Where a process's seconds go, written down when `assay profile` asks for it by an environment variable.

Covers: the phases of one process, from its creation on. Not covered: running DVC and adding up (`commands.profile`).
Watching changes nothing: without the variable only a few clock readings are kept.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

#: folder that every process of a run writes its phases into
ASKED = "ASSAY_SECONDS"

_marks: list[tuple[str, float]] = []


def mark(phase: str) -> float:
    """The time since the last mark belonged to `phase`; how much that was, 0 for the first."""
    now = time.time()
    taken = now - _marks[-1][1] if _marks else 0.0
    _marks.append((phase, now))
    return taken


def write(process: str) -> None:
    """Write the phases of this process, which is called `process`, where the run wants them, if it does."""
    folder = os.environ.get(ASKED)
    if not folder:
        return
    mark("rest")
    began = _born()
    phases: dict[str, float] = {}
    before = began
    for phase, at in _marks:
        phases[phase] = phases.get(phase, 0.0) + at - before
        before = at
    content = {"process": process, "began": began, "ended": before, "phases": phases}
    with suppress(OSError):  # what was measured stays whole, whatever becomes of its times
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(content), encoding="utf-8")


def _born() -> float:
    """When this process was created, in seconds of the epoch; its first mark where the system does not tell."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return time.time() - (up - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return _marks[0][1]
