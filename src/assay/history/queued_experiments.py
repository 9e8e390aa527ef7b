"""Experiments that wait in DVC's queue (`dvc exp run --queue`), by the messages that DVC keeps of them.

Covers: name, commit and base of each, in the order in which they were queued. Not covered: those that a worker has
taken (`history.running_experiments`).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.runtime import dvc_yaml

#: where DVC lays one message a job down until a worker takes it, below the folder of `.dvc`
WAITING = (".dvc", "tmp", "exps", "celery", "broker", "in")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class QueuedExperiment:
    name: str
    base: str  # the commit that it starts on
    commit: str  # what it will run, kept in DVC's stash


def find(root: Path) -> list[QueuedExperiment]:
    """Those of the project at `root`, the oldest first."""
    folder = (dvc_yaml.dvc_root(root) or root).joinpath(*WAITING)
    messages = sorted((_time(path), path) for path in folder.glob("*.msg"))
    return [one for _, path in messages for one in _read(path)]


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # taken meanwhile


def _read(message: Path) -> Iterator[QueuedExperiment]:
    """The job of a message; none where it is another one, such as an order to a worker."""
    try:
        told = json.loads(message.read_text(encoding="utf-8"))
        arguments, named, *_ = json.loads(base64.b64decode(told["body"]))
        job = named.get("entry_dict") or arguments[0]
        base, commit = str(job["baseline_rev"]), str(job["stash_rev"])
        name = str(job.get("name") or commit[:7])
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return  # taken meanwhile, or another version's
    if _COMMIT.fullmatch(base) and _COMMIT.fullmatch(commit):
        yield QueuedExperiment(name, base, commit)
