"""Cache entries: sealed files that are believed only when their content matches.

Everything here may be deleted at any moment, between any two instructions, by anyone. Covers: sealing
and checked reading. Not covered: locks (`runtime.file_locks`), what an entry means (`replicates.replicate_cache`), and
how much all of them take (`replicates.cache_pruning`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from assay.runtime import files

_MAGIC = b"assay-entry-1\n"
_SEAL = 32


def seal(path: Path, inside: bytes) -> None:
    """Write `inside` with its digest; OSError when the disk does not take it."""
    files.write_bytes(path, _MAGIC + files.digest(inside).encode() + inside)


def unseal(path: Path) -> bytes | None:
    """Content of a sealed file. One that is damaged is removed; None then, and where there is none."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    found = content(raw)
    if found is None:
        discard(path)
    return found


def content(raw: bytes) -> bytes | None:
    """What a sealed file's bytes hold, None where they are damaged."""
    head, inside = raw[: len(_MAGIC) + _SEAL], raw[len(_MAGIC) + _SEAL :]
    return inside if head == _MAGIC + files.digest(inside).encode() else None


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


def children(folder: Path) -> Iterator[Path]:
    """What lies in `folder`; nothing where it cannot be read."""
    try:
        yield from folder.iterdir()
    except OSError:
        return
