"""Outputs of a commit that DVC keeps, brought from its cache or its remote into a folder.

The work tree and its dvc.lock stay as they are.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.api import DVCFileSystem

from assay.core.errors import FULL, UsageError
from assay.runtime import git


def fetch(root: Path, commit: str, name: str, paths: Sequence[str], folder: Path) -> None:
    """Put each output of `paths` as of `commit` under `folder`. `name` is what a user calls that commit.

    Raises UsageError with the `dvc pull` to run when one is neither in the cache nor in a remote, OSError where the
    disk is full.
    """
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            with _quiet():
                top, inside = git.from_top(root, path)  # DVC clones what it is given
                DVCFileSystem(top, rev=commit, subrepos=True).get(inside, str(folder / path), recursive=True)
        except Exception as error:  # DVC, its remotes and file systems raise what they like
            if full := _full(error, folder):
                raise full from error
            raise _missing(name, path, paths, f"{type(error).__name__}: {error}") from error
        if not (folder / path).exists():
            raise _missing(name, path, paths, "neither in DVC's cache nor in a remote")


def _full(error: BaseException | None, folder: Path) -> OSError | None:
    """What the system says where `folder` cannot be written, behind whatever DVC made of it: no pull would help."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return OSError(error.errno, error.strerror, str(folder))
        if isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error):  # DVC keeps notes in SQLite
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        error = error.__cause__ or error.__context__
    return None


def _missing(name: str, path: str, paths: Sequence[str], why: str) -> UsageError:
    said = " ".join(why.split())
    return UsageError(
        f"{path} of {name} is not available ({said[:200]})",
        mend=f"git checkout {name} && dvc pull {' '.join(paths)} && git checkout -",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """DVC logs errors that it also raises, and would say them twice."""
    logger = logging.getLogger("dvc")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
