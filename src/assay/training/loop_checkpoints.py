"""The folder `data.checkpoints` of a loop of the task's own: what lies there outlives a run that is killed.

It is named after all that makes the replicate, its code included: another code never finds it. What was logged lies
beside it, so that curves are whole after a resumption. Covers: making, remembering, clearing. Not covered: what the
loop writes into it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from assay.core.schemas import DAMAGE
from assay.replicates import cache_entries
from assay.replicates.replicate_cache import Names
from assay.replicates.replicate_result import Point
from assay.runtime import cache_dirs, files

_VERSION = "loop 1"


class LoopCheckpoints:
    """One replicate's folder. `folder` is given to fit(); it is there."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.folder = place / "files"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._logged = place / "logged.jsonl"
        if not self.resumes:
            self._logged.unlink(missing_ok=True)  # of a run that ended before it kept anything: it begins anew

    @property
    def resumes(self) -> bool:
        """Whether an earlier run left something."""
        return any(cache_entries.children(self.folder))

    def points(self) -> list[Point]:
        """What earlier runs logged, whole lines only."""
        found = []
        with suppress(OSError):
            for line in self._logged.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(*DAMAGE, TypeError):
                    found.append(Point(*json.loads(line)))
        return found

    def remember(self, point: Point) -> None:
        """Keep a point for the run that resumes; where that fails the curve begins later."""
        with suppress(OSError), self._logged.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([point.epoch, point.train, point.validation, dict(point.more)]) + "\n")

    def clear(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)


@contextmanager
def checkpoints(cache: str, names: Names, number: int) -> Iterator[LoopCheckpoints]:
    """The folder of replicate `number` in the cache at `cache`; where there is none, or none can be written, one that
    ends with the block."""
    kept = _kept(Path(cache), names, number) if cache else None
    if kept is not None:
        try:
            yield kept
        finally:
            if not kept.resumes:
                kept.clear()
        return
    with TemporaryDirectory(prefix="assay-loop-") as scratch:
        yield LoopCheckpoints(Path(scratch))


def _kept(cache: Path, names: Names, number: int) -> LoopCheckpoints | None:
    raw = msgspec.json.encode([_VERSION, msgspec.to_builtins(names), number], order="deterministic")
    place = cache / "checkpoints" / files.digest(raw)
    try:
        found = LoopCheckpoints(place)
    except OSError:
        return None
    cache_dirs.hold(place)
    return found
