"""A job that SLURM started again: the node of its first start may be lost, with leases that nobody gives back.

Covers: waiting for the end of such a lease, so that the job does not find its own work taken and end with nothing done.
Not covered: a job that was preempted, which gave its leases back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from assay.runtime import leases

#: how many times SLURM has started this job again
RESTARTS = "SLURM_RESTART_COUNT"
#: looks at a lease in its length; its holder gives `leases.BEATS` signs of life in that time
LOOKS = 10 * leases.BEATS


def wait_for_lost(folders: Iterable[Path], request: str, seconds: float, say: Callable[[str], object]) -> None:
    """Where this job was started again: wait until leases of `request` end, or their holder gives a sign of life."""
    if os.environ.get(RESTARTS, "0") in ("", "0"):
        return
    for folder in folders:
        seen = holder = leases.holder(folder, seconds)
        while seen and holder and holder.request == request and holder.age >= seen.age:
            if holder is seen:
                say(f"{holder.host} held this before SLURM started the job again: waiting for a sign of life")
            time.sleep(seconds / LOOKS)
            seen, holder = holder, leases.holder(folder, seconds)
