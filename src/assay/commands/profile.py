"""`assay profile`: one `dvc exp run`, and where its seconds went.

Covers: running it, adding up what each process wrote down of itself (`runtime.timing`). What no stage
accounts for is DVC's. Not covered: time inside a phase, which a profiler of Python shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.schemas import Record
from assay.runtime import project_root, timing
from assay.runtime.dvc_cli import DVC

#: processes that a stage starts beside itself; their time passes inside of that stage
BESIDE = ("warm_candidate_cache", "floors", "measure")
#: options of `dvc exp run` whose runs are not over when it is, or are several at once
LATER = ("--queue", "--run-all", "-j", "--jobs")


class Process(Record, frozen=True, kw_only=True):
    """One process of the run. `began` in seconds since the start of the run; `phases` in seconds."""

    process: str
    began: float
    seconds: float
    beside: bool
    phases: dict[str, float]


class Profile(Record, frozen=True, kw_only=True):
    """What `assay profile --json` prints, in seconds. `dvc`: what passed in no stage."""

    seconds: float
    dvc: float
    processes: list[Process]


def profile(start: Path, arguments: Sequence[str], quiet: bool = False) -> Profile:
    """Run `dvc exp run` with `arguments`; `quiet` sends what it prints to stderr. Raises UsageError when it fails."""
    root = project_root.find(start).root
    if later := [word for word in arguments if word in LATER]:
        raise UsageError(f"{later[0]} starts runs that go on beside each other", allowed="one run in the foreground")
    with tempfile.TemporaryDirectory(prefix="assay-seconds-") as folder:
        began, clock = time.time(), time.perf_counter()
        done = subprocess.run(
            [*DVC, "exp", "run", *arguments],
            cwd=root,
            env={**os.environ, timing.ASKED: folder},
            stdout=sys.stderr if quiet else None,
        )
        taken = time.perf_counter() - clock
        if done.returncode:
            raise UsageError(f"dvc exp run ended with code {done.returncode}", hint="see the lines above")
        found = sorted((_read(path, began) for path in Path(folder).glob("*.json")), key=lambda one: one.began)
    stages = sum(one.seconds for one in found if not one.beside)
    return Profile(seconds=taken, dvc=taken - stages, processes=found)


def _read(path: Path, began: float) -> Process:
    written = json.loads(path.read_text(encoding="utf-8"))
    return Process(
        process=written["process"],
        began=written["began"] - began,
        seconds=written["ended"] - written["began"],
        beside=written["process"] in BESIDE,
        phases=written["phases"],
    )
