"""Checkpoints that travel: from a worker that was ended to the one that goes on, through the shared folder."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from assay.replicates import shared_entries
from assay.runtime import files, shared_files


def keep(folder: Path, place: Path) -> None:
    """Copy sealed checkpoints below `folder` to `place`, in the shared folder, where they differ.

    Where that fails, training starts afresh after an interruption: no reason to end it.
    """
    with suppress(OSError):
        for path in _files(folder):
            target = place / path.relative_to(folder)
            raw = shared_entries.unbroken(path)
            if raw is not None and raw != shared_files.read(target):
                shared_files.write(target, raw)


def bring(place: Path, folder: Path) -> None:
    """Copy what `keep` left at `place` into `folder`, of a new worker."""
    for path in _files(place):
        raw = shared_entries.unbroken(path)
        if raw is not None:
            files.write_bytes(folder / path.relative_to(place), raw)


def remove(place: Path) -> None:
    """Once all is sealed nobody needs them."""
    shutil.rmtree(place, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
