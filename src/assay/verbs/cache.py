"""`assay cache`: how much is kept for re-use, and making it smaller. Deleting all of it costs time, never a number."""

from __future__ import annotations

from pathlib import Path

from assay.history import project
from assay.keeping import entries
from assay.outside import pipeline
from assay.words.records import Record


class Cache(Record, frozen=True, kw_only=True):
    """What `assay cache --json` prints; sizes in bytes."""

    folder: str
    entries: int
    size: int
    limit: int  # the longest unused go first when more is kept
    freed: int


def cache(start: Path, keep: int | None = None) -> Cache:
    """The replicate cache of the project at `start`, after pruning it to at most `keep` bytes if that is given."""
    folder = pipeline.current(project.find(start).root).store.replicates
    freed = 0 if keep is None else entries.prune(folder, keep)
    found = entries.entries(folder)
    return Cache(
        folder=str(folder),
        entries=len(found),
        size=sum(one.size for one in found),
        limit=entries.LIMIT,
        freed=freed,
    )
