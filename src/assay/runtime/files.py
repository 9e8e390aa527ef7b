"""Files: read with a sentence when broken, write whole or not at all.

Covers: atomic writes, JSON records, YAML, content hashes. Not covered: which path holds what
(`core.paths`) and what a record means (`core.schemas`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from assay.core.errors import UsageError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends, and leaves no trace when it fails.

    What the system refuses is an OSError that names `path`, as a failing `write` alone would not.
    """
    try:
        with _replacing(path) as stream:
            yield stream
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        # mkstemp makes files private; give what any other new file would get.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def read_bytes(path: Path, hint: str = "") -> bytes:
    """Content of `path`; UsageError naming it when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{path} is missing", hint=hint) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})", hint=hint) from error


def digest(content: bytes) -> str:
    """128-bit BLAKE2b of `content`, in hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
