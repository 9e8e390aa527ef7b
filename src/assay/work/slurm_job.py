"""What a SLURM job runs: one worker, which is asked to end when the job is preempted or its time is up.

submitit loads this by its name on the node, from a private folder, and sends the job back to the queue after
`checkpoint`. What it returns is nobody's result. Not covered: the worker (`work.run_request`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress

from assay.work.submitit_package import DelayedSubmission
from assay.work.worker_environment import allowed

#: seconds that a worker gets to put what it has into the shared folder
GRACE = 60.0


class SlurmWorker:
    """Callable that submitit requeues. `command` starts the worker, `also` names variables that reach it."""

    def __init__(self, command: Sequence[str], also: Sequence[str]) -> None:
        self.command = list(command)
        self.also = list(also)
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        self._child = subprocess.Popen(self.command, env=allowed(self.also), stdin=subprocess.DEVNULL)
        return self._child.wait()

    def checkpoint(self) -> DelayedSubmission:
        """End the worker, which keeps its checkpoint and gives its leases back; then the same again."""
        if self._child is not None:
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(GRACE)
        return DelayedSubmission(SlurmWorker(self.command, self.also))
