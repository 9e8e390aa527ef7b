"""Places in the cache, which may be read-only, full, or no folder at all: that costs the re-use and nothing else.

Covers: a temporary folder instead, which ends with this process, and the sentence that says so; holding what a process
needs against those who make the cache smaller. Not covered: what lies in the cache, and how much
(`replicates.cache_pruning`).
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import CachePaths
from assay.runtime import file_locks

Say = Callable[[str], object]

#: what helps with a folder that refuses, where a command does
_HINTS = {errno.EACCES: "chmod u+rwx '{}'", errno.EPERM: "chattr -i '{}'"}

#: folders that may be removed under our hands, one after the other, until we give up
_TRIES = 20

_temporary: list[Path] = []
_said: set[str] = set()
_held: dict[tuple[int, int], int] = {}  # device and number of a folder → descriptor


def hold(folder: Path) -> None:
    """Keep `folder` from whoever makes the cache smaller until this process ends, and note that it was of use.

    A lock on the folder itself, which leaves no file behind; where there is no such folder nothing happens.
    """
    handle = _open(folder)
    if handle is None:
        return
    state = os.fstat(handle)
    if (state.st_dev, state.st_ino) in _held:
        os.close(handle)
    else:
        _held[state.st_dev, state.st_ino] = handle
        file_locks.lock(handle, exclusive=False)
    with suppress(OSError):
        os.utime(folder)


@contextmanager
def scratch(above: Path) -> Iterator[Path]:
    """A new folder in `above`, which nobody removes while this process is at work in it; gone after the block.

    Raises OSError where nothing can be written.
    """
    above.mkdir(parents=True, exist_ok=True)
    folder = _new(above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new(above: Path) -> Path:
    """A new folder that is held: one that was removed between making and holding is followed by another."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(dir=above, prefix=".new."))
        hold(folder)
        if folder.is_dir():
            return folder
    raise FileNotFoundError(errno.ENOENT, "removed as soon as it was made", str(folder))


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether no process holds `path`; then none can inside of the block."""
    handle = _open(path)
    free = handle is None or file_locks.lock(handle, exclusive=True)
    try:
        yield free
    finally:
        if handle is not None:
            if free:
                file_locks.unlock(handle)
            os.close(handle)


def unsaid(_note: str) -> None:
    """For stages: the first one of the run has looked, and said so."""


def place(make: Callable[[Path], Path], path: Path, say: Say) -> Path:
    """What `make` puts at the path it is given: `path` in the cache, else one that ends with this process.

    `say` is told of the latter, once. `make` raises OSError where it cannot write, which is a UsageError when that
    holds everywhere.
    """
    try:
        return make(path)
    except OSError as error:
        note = _note(path, error)
        if note not in _said:
            _said.add(note)
            say(note)
    try:
        return make(_folder() / path.name)
    except OSError as error:
        raise _refused(Path(tempfile.gettempdir()), error) from error


def made(folder: Path) -> Path:
    """`folder`, made where it is not there. Raises UsageError when nothing can be written into it."""
    try:
        _try(folder)
    except OSError as error:
        raise _refused(folder, error) from error
    return folder


def trouble(store: CachePaths) -> str:
    """The sentence about a cache that takes nothing, "" for one that can be written."""
    for folder in (store.root, *(kind for kind in store.kinds if os.path.lexists(kind))):
        try:
            _try(folder)
        except OSError as error:
            return _note(folder, error)
    return ""


def unkept(why: str) -> str:
    """The sentence about a cache that takes nothing."""
    return f"nothing is kept for re-use: {why}"


def clear() -> None:
    """Remove the temporary folders of this process; for who leaves without an `atexit`."""
    while _temporary:
        shutil.rmtree(_temporary.pop(), ignore_errors=True)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="assay-"))
    if not _temporary:
        atexit.register(clear)
    _temporary.append(folder)
    return folder


def _try(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def _note(folder: Path, error: OSError) -> str:
    return unkept(_refused(folder, error).sentence)


def _refused(folder: Path, error: OSError) -> UsageError:
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    if not os.path.isdir(there):  # noqa: PTH112  (Path.is_dir raises where it may not look)
        return UsageError(f"{there} is no folder", hint=f"rm '{there}'")
    hint = _HINTS.get(error.errno or 0, "free some space or make it writable, then run again").format(there)
    return UsageError(f"{there} cannot be written ({error.strerror})", hint=hint)
