"""Outputs of a commit that DVC keeps, brought from its cache or its remote into a folder.

The work tree and its dvc.lock stay as they are.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.api import DVCFileSystem

from assay.core.errors import UsageError
from assay.runtime import full_disk, git


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
            if number := full_disk.refusal(error):
                raise OSError(number, os.strerror(number), str(folder)) from error
            raise _missing(name, path, paths, f"{type(error).__name__}: {error}") from error
        if not (folder / path).exists():
            raise _missing(name, path, paths, "neither in DVC's cache nor in a remote")


def _missing(name: str, path: str, paths: Sequence[str], why: str) -> UsageError:
    said = " ".join(why.split())
    return UsageError(
        f"{path} of {name} is not available ({said[:200]})",
        hint=f"git checkout {name} && dvc pull {' '.join(paths)} && git checkout -",
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
