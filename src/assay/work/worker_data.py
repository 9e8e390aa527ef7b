"""Data for workers in the shared folder, by the hash of their content: put there once, checked where they are used.

Covers: parts of examples (their manifest's hash), files that training reads beside its code (DVC's hash). Not covered:
what the data mean (`data.storage`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.work_records import SharedPaths
from assay.data import storage
from assay.runtime import dvc_hash


def put_part(folder: Path, digest: str, shared: Path) -> int:
    """Copy a part of the examples there unless it is; bytes that were copied."""
    place = SharedPaths(shared).data(digest)
    return 0 if _is_part(place, digest) else _put(folder, place)


def put_file(path: Path, digest: str, shared: Path) -> int:
    """The same for a file or folder by DVC's hash."""
    place = SharedPaths(shared).data(digest)
    return 0 if place.exists() else _put(path, place)


def part(digest: str, shared: Path) -> Path:
    """Folder of a part with this content. Raises UsageError where it is not there, or is another."""
    place = SharedPaths(shared).data(digest)
    if not place.is_dir():
        raise UsageError(
            f"the examples {digest[:12]} are not in {place.parent}", hint="submit it again from the project: assay work"
        )
    manifest = storage.read_manifest(place)
    if manifest.content != digest:
        raise UsageError(
            f"{place} holds the examples {manifest.content[:12]}", hint=f"rm -r '{place}', then submit it again"
        )
    return place


def link_files(files: Mapping[str, str], project: Path, shared: Path) -> None:
    """Put each of `files` (path → DVC's hash) into `project`, as a link to the shared folder.

    Raises UsageError for one that is nowhere, has other content, or would lie outside of the project.
    """
    for name, digest in files.items():
        place = project / name
        if not place.parent.resolve().is_relative_to(project.resolve()):
            raise UsageError(f"{name} lies outside of the project", allowed="files below the folder of dvc.yaml")
        source = SharedPaths(shared).data(digest)
        if dvc_hash.digest(source) != digest:
            raise UsageError(
                f"{name}, which training reads, is not in {source.parent} with the content {digest}",
                hint=f"rm -rf '{source}', then submit it again from the project: assay work",
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(source, target_is_directory=source.is_dir())


def _is_part(place: Path, digest: str) -> bool:
    try:
        return storage.read_manifest(place).content == digest
    except UsageError:
        return False


def _put(source: Path, place: Path) -> int:
    """Copy `source` to `place` under a temporary name first; bytes. Whoever was faster wins."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new."))
    aside.chmod(0o755)
    try:
        copied = aside / "data"
        if source.is_dir():
            shutil.copytree(source, copied)
        else:
            shutil.copy2(source, copied)
        size = 0
        for path in _files(copied):
            size += path.stat().st_size
            _flush(path)
        try:
            copied.rename(place)
        except OSError:
            if not place.exists():
                raise
        return size
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _files(place: Path) -> Iterator[Path]:
    return (path for path in place.rglob("*") if path.is_file()) if place.is_dir() else iter([place])


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
