"""Files that this process opens to read, each with its state at that moment, seen by an audit hook.

Covers: whatever Python itself opens or tries to open, and what `note` is told of. Not covered: the standard library,
installed packages and Assay's own files (`runtime.kept_pages` looks at them as a whole); other processes, such as Git.
"""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from assay.runtime.source_roots import OURS

#: size, time of the last change in ns, number; None where there is no file
State = tuple[int, int, int] | None

#: seconds in which a second change could leave the same state: some file systems count whole seconds
_TICK, _COARSE_TICK = 0.05, 2.0


@dataclass
class OpenedFiles:
    """Path → state. `settled`: no file was so new that another change of it could go unseen."""

    states: dict[str, State] = field(default_factory=dict)
    settled: bool = True

    def see(self, path: str) -> None:
        """Add a file with its state of now; the first one counts."""
        if path in self.states:
            return
        found = state(path)
        if found is not None:
            tick = _TICK if found[1] % 1_000_000_000 else _COARSE_TICK
            self.settled &= time.time() - found[1] / 1e9 > tick
        self.states[path] = found


_seen: OpenedFiles | None = None


@contextmanager
def recording() -> Iterator[OpenedFiles]:
    """Collects the files that are opened inside of the block."""
    global _seen
    _install()
    _seen = found = OpenedFiles()
    try:
        yield found
    finally:
        _seen = None


def note(path: os.PathLike[str] | str) -> None:
    """Count `path` as opened: whoever asks only whether it is there depends on it, too."""
    if _seen is not None:
        _seen.see(os.path.abspath(path))  # noqa: PTH100 - links stay as they are named


def unchanged(states: Mapping[str, State]) -> bool:
    """Whether each file is as it was."""
    return all(state(path) == known for path, known in states.items())


def state(path: str) -> State:
    try:
        found = os.stat(path)  # noqa: PTH116 - a thousand paths
    except (OSError, ValueError):
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


@lru_cache(maxsize=1)
def _install() -> None:
    """Once in a process: a hook cannot be taken away again."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None or event != "open":
        return
    given = arguments[0]
    if not isinstance(given, (str, bytes, os.PathLike)) or _only_writes(arguments[2]):
        return
    try:
        path = os.path.abspath(os.fsdecode(given))  # noqa: PTH100 - links stay as they are named
    except (OSError, ValueError, TypeError):
        return
    if not path.startswith(_installed()):
        _seen.see(path)


def _only_writes(flags: object) -> bool:
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Folders, each with a separator, of what is imported and not read."""
    found = {path for name, path in sysconfig.get_paths().items() if "lib" in name} | {str(OURS)}
    return tuple(f"{os.path.normpath(path)}{os.sep}" for path in found if path)
