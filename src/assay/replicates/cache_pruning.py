"""The cache as a whole: what lies in it, how much that takes, and making it smaller.

Whatever was longest out of use goes first, of every kind, and nothing that a running process holds: what needs its
files to stay as they are holds them (`runtime.cache_dirs.hold`), and who trains a replicate has its lock. Not covered:
what an entry means.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from assay.core.paths import KINDS
from assay.replicates import cache_entries
from assay.runtime import cache_dirs
from assay.runtime.file_locks import LOCK, Lock

#: bytes that the cache may take before it drops what was longest out of use
LIMIT = 4 * 2**30

#: kinds whose entries are sealed files, each touched when it is of use; of others the folder is
_SEALED = ("replicates", "checkpoints")
_LOCKED = "replicates"


@dataclass(frozen=True)
class CacheEntry:
    """One thing that is kept: where, of which kind, its bytes, and when it was last of use (seconds since 1970)."""

    path: Path
    kind: str
    size: int
    used: float


@dataclass(frozen=True)
class Pruned:
    """Bytes freed, and entries that should have gone but are held by running processes or may not be written."""

    freed: int
    stayed: int


def found(root: Path) -> list[CacheEntry]:
    """Everything in the cache at `root` but locks, what was longest out of use first."""
    listed = []
    for path, kind in _paths(root):
        try:
            stats = list(_stats(path))
            own = path.lstat().st_mtime
        except OSError:
            continue  # another process is at work here
        used = max((one.st_mtime for one in stats), default=own) if kind in _SEALED else own
        listed.append(CacheEntry(path, kind, sum(one.st_size for one in stats), used))
    return sorted(listed, key=lambda one: (one.used, one.path))


def prune(root: Path, limit: int) -> Pruned:
    """Remove entries until those that nobody holds take at most `limit` bytes, and locks whose process is gone."""
    _drop_dead_locks(root)
    listed = found(root)
    if limit and sum(one.size for one in listed) <= limit:
        return Pruned(0, 0)
    free = [one for one in listed if _is_free(one)]  # what is held would else cost all the rest its place
    total, freed, stayed = sum(one.size for one in free), 0, len(listed) - len(free)
    for one in free:
        if limit and total - freed <= limit:
            break
        if _remove(one):
            freed += one.size
        else:
            stayed += 1
    return Pruned(freed, stayed)


def _paths(root: Path) -> Iterator[tuple[Path, str]]:
    """Every entry and its kind; a folder that is none of KINDS is one entry as a whole."""
    for path in cache_entries.children(root):
        if path.name in KINDS:
            yield from ((one, path.name) for one in cache_entries.children(path) if one.suffix != LOCK)
        elif path.suffix != LOCK:
            yield path, path.name.lstrip(".").partition(".")[0]


def _stats(path: Path | str) -> Iterator[os.stat_result]:
    """Of the file `path`, or of every file below it. Links are not followed: a scratch repository has one to us."""
    state = os.lstat(path)
    if not stat.S_ISDIR(state.st_mode):
        yield state
        return
    with os.scandir(path) as inside:
        for one in inside:
            if one.is_dir(follow_symlinks=False):
                yield from _stats(one.path)
            else:
                yield one.stat(follow_symlinks=False)


def _is_free(entry: CacheEntry) -> bool:
    with _alone(entry) as free:
        return free


def _remove(entry: CacheEntry) -> bool:
    """Whether it is gone."""
    with _alone(entry) as free:
        if not free:
            return False
        shutil.rmtree(entry.path, ignore_errors=True)  # which leaves a file
        cache_entries.discard(entry.path)
        return not os.path.lexists(entry.path)


@contextmanager
def _alone(entry: CacheEntry) -> Iterator[bool]:
    """Whether nobody else needs `entry`, nor begins to inside of the block."""
    if entry.kind != _LOCKED:
        with cache_dirs.alone(entry.path) as free:
            yield free
        return
    lock = _try(entry.path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def _drop_dead_locks(root: Path) -> None:
    for folder in (root, *(root / kind for kind in KINDS)):
        for path in cache_entries.children(folder):
            if path.suffix == LOCK and (lock := _lock_file(path)) is not None:
                lock.release()  # which removes it


def _lock_file(path: Path) -> Lock | None:
    """The lock that the file `path` is; None where it is taken, or may not be looked at."""
    with suppress(OSError):
        return _try(path.with_suffix("")) if path.is_file() else None
    return None


def _try(path: Path) -> Lock | None:
    """The lock of `path`; None where another process has it, or the disk is read-only."""
    with suppress(OSError):
        return Lock.take(path, wait=False)
    return None
