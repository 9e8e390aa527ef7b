"""What runs workers: the protocol that every engine has, and the command line of one worker.

Not covered: results. Those are sealed entries in the shared folder; nothing that an engine says of a job counts as one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from assay.runtime import leases
from assay.runtime import source_roots as trees

#: what an engine may say of a job: it waits, it is at work, or it is no more, for whatever reason
QUEUED, RUNNING, GONE = "queued", "running", "gone"


@dataclass(frozen=True)
class WorkOptions:
    """How jobs are run. `more`: options of the engine's own, such as a partition."""

    parallel: int = 1  # jobs at a time
    lease: float = leases.SECONDS
    also: tuple[str, ...] = ()  # names of variables that reach workers
    minutes: int = 0  # time limit of a job; 0 for the engine's own
    more: dict[str, str] = field(default_factory=dict)


class WorkEngine(Protocol):
    """Runs one worker for each request. `folder`, a private one of the launch, is the engine's own."""

    def check(self, options: WorkOptions) -> None:
        """Raises UsageError where it could not run anything with these options."""

    def submit(self, requests: Sequence[str], shared: Path, folder: Path, options: WorkOptions) -> list[str]:
        """The engine's name of the job for each request, in their order. Returns at once."""

    def poll(self, jobs: Sequence[str], folder: Path) -> dict[str, str]:
        """Job → QUEUED, RUNNING or GONE."""

    def cancel(self, jobs: Sequence[str], folder: Path) -> None:
        """End jobs; one that is gone already is no error."""

    def logs(self, job: str, folder: Path) -> list[Path]:
        """Files with what the job printed."""


def worker(request: str, shared: Path, options: WorkOptions) -> list[str]:
    """The command line of one worker; Python looks for no module in the folder where it starts."""
    entry = f"import sys; sys.path[:] = filter(None, sys.path); sys.path.insert(0, {str(trees.PLACE)!r}); "
    entry += "from assay.__main__ import main; main()"
    also = [word for name in options.also for word in ("--env", name)]
    return [
        *(sys.executable, "-c", entry, "work", "run", request),
        *("--shared", str(shared), "--lease", f"{options.lease:g}", *also),
    ]
