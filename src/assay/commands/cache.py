"""`assay cache`: how much is kept for re-use, and making it smaller. Deleting all of it costs time, never a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.schemas import Record
from assay.replicates import cache_pruning
from assay.replicates.cache_pruning import CacheEntry, Pruned
from assay.runtime import dvc_yaml, project_root


class Share(msgspec.Struct, frozen=True):
    """What one kind takes; bytes."""

    entries: int
    size: int


class Cache(Record, frozen=True, kw_only=True):
    """What `assay cache --json` prints; sizes in bytes."""

    folder: str
    entries: int
    size: int
    limit: int  # the longest unused go first when more is kept
    freed: int
    stayed: int  # entries that pruning left, as running processes hold them or the disk does not let go
    kinds: dict[str, Share]


def cache(start: Path, keep: int | None = None) -> Cache:
    """The cache of the project at `start`, after pruning it to at most `keep` bytes if that is given."""
    root = dvc_yaml.current(project_root.find(start).root).store.root
    pruned = Pruned(0, 0) if keep is None else cache_pruning.prune(root, keep)
    found = cache_pruning.found(root)
    return Cache(
        folder=str(root),
        entries=len(found),
        size=sum(one.size for one in found),
        limit=cache_pruning.LIMIT,
        freed=pruned.freed,
        stayed=pruned.stayed,
        kinds=_kinds(found),
    )


def _kinds(found: Sequence[CacheEntry]) -> dict[str, Share]:
    """What takes most first."""
    names = {one.kind for one in found}
    shares = {name: [one.size for one in found if one.kind == name] for name in names}
    kinds = {name: Share(len(sizes), sum(sizes)) for name, sizes in shares.items()}
    return dict(sorted(kinds.items(), key=lambda item: (-item[1].size, item[0])))
