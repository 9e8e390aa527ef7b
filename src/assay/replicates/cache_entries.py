"""Cache entries: sealed files that are believed only when their content matches, and a lock for each.

Everything here may be deleted at any moment, between any two instructions, by anyone. Covers: sealing,
checked reading, locks that die with their process. Not covered: what an entry means (`replicates.replicate_cache`), and
how much all of them take (`replicates.cache_pruning`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from assay.runtime import files

try:
    import fcntl
except ImportError:  # not on Windows: two processes may then both train a replicate, to the same end
    fcntl = None  # type: ignore[assignment]

#: how the name of a lock file ends
LOCK = ".lock"

_MAGIC = b"assay-entry-1\n"
_SEAL = 32


def seal(path: Path, content: bytes) -> None:
    """Write `content` with its digest; OSError when the disk does not take it."""
    files.write_bytes(path, _MAGIC + files.digest(content).encode() + content)


def unseal(path: Path) -> bytes | None:
    """Content of a sealed file. One that is damaged is removed; None then, and where there is none."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    head, content = raw[: len(_MAGIC) + _SEAL], raw[len(_MAGIC) + _SEAL :]
    if head == _MAGIC + files.digest(content).encode():
        return content
    discard(path)
    return None


def discard(path: Path) -> None:
    """Remove a file that nobody should believe; on a read-only disk it stays, and stays disbelieved."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def discard_folder(folder: Path) -> None:
    """Remove a folder if nothing is left in it."""
    try:
        folder.rmdir()
    except OSError:
        return


def keep_newest(folder: Path, count: int) -> None:
    """Discard all files in `folder` but the `count` that were of use last."""
    found = []
    for path in children(folder):
        with suppress(OSError):
            found.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(found)[:-count]:
        discard(path)


def used(path: Path) -> None:
    """Note that an entry was of use: pruning begins with those that were not."""
    try:
        os.utime(path)
    except OSError:
        return


class Lock:
    """An exclusive lock on a name, held until `release` or the end of the process."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle = handle
        self._path = path

    @classmethod
    def take(cls, path: Path, *, wait: bool) -> Lock | None:
        """The lock at `path`; None when another process holds it and `wait` is off, OSError on a read-only disk."""
        path = path.with_name(path.name + LOCK)
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if fcntl is not None:
                    fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                # Whoever released it may have deleted the file that we opened before.
                if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                    return cls(handle, path)
            except BlockingIOError:
                os.close(handle)
                return None
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def release(self) -> None:
        discard(self._path)
        if fcntl is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)  # closing would leave it to a copy of this process
        os.close(self._handle)


def children(folder: Path) -> Iterator[Path]:
    """What lies in `folder`; nothing where it cannot be read."""
    try:
        yield from folder.iterdir()
    except OSError:
        return
