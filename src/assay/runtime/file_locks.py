"""Locks on files and folders: they end with the process that holds them, however it ends.

Where there are none (Windows, some network disks) everybody gets what he asks for: two processes may then do the same
work, to the same end.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

#: how the name of a lock file ends
LOCK = ".lock"


def lock(handle: int, *, exclusive: bool, wait: bool = False) -> bool:
    """Whether the lock on what is open as `handle` was taken; only one who does not wait may fail.

    A shared one waits for whoever has it alone.
    """
    if fcntl is None:
        return True
    wanted = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(handle, wanted | (fcntl.LOCK_NB if exclusive and not wait else 0))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def unlock(handle: int) -> None:
    """End a lock at once: to close `handle` would leave it to a copy of this process."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_UN)


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
                if not lock(handle, exclusive=True, wait=wait):
                    os.close(handle)
                    return None
                # Whoever released it may have deleted the file that we opened before.
                if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                    return cls(handle, path)
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def release(self) -> None:
        with suppress(OSError):  # on a disk that has become read-only the file stays, and holds nobody
            self._path.unlink(missing_ok=True)
        unlock(self._handle)
        os.close(self._handle)
