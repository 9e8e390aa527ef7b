"""Files of one result, read and never fetched: of a commit from Git and DVC's cache, of the work tree from disk.

Covers: which store has a file, what is not at hand with the command that brings it. Not covered: what the files mean.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from assay.core.errors import AssayError, UsageError
from assay.core.paths import LOCK
from assay.history import cached_predictions
from assay.history.cached_predictions import NotAtHandError
from assay.runtime import dvc_cache_dir, dvc_lock, git, opened_files

#: bytes of one file that is read
LARGEST = 200_000_000


@dataclass(frozen=True)
class MissingFile:
    """An output that DVC knows and this machine does not have, or that is damaged."""

    path: str
    why: str
    hint: str


@dataclass
class RecordedFiles:
    """Files of `commit`, "" for the work tree at `root`. `missing` collects what was asked for in vain."""

    root: Path
    commit: str
    missing: dict[str, MissingFile] = field(default_factory=dict)

    def tracked(self, path: str) -> bytes | None:
        """A file that Git keeps, None where the result has none."""
        if self.commit:
            return git.read(self.root, self.commit, path)
        return self._on_disk(path)

    def kept(self, path: str) -> bytes | None:
        """A file that DVC keeps, by itself or in a folder; None where there is none, and where it is in `missing`."""
        if not self.commit and (content := self._on_disk(path)) is not None:
            return content
        output = self._output(path)
        if output is None:
            return self.tracked(path) if self.commit else None
        try:
            return self._cached(path, *output)
        except AssayError as error:
            why = error.problem if isinstance(error, NotAtHandError) else error.sentence
            self.missing[output[0]] = MissingFile(output[0], why, self._hint(output[0]))
            return None

    @cached_property
    def _lock(self) -> bytes:
        """dvc.lock, empty where there is none."""
        return self.tracked(LOCK) or b""

    @cached_property
    def _cache(self) -> Path:
        """DVC's cache. Raises UsageError where DVC does not know it."""
        return dvc_cache_dir.folder(self.root)

    def _on_disk(self, path: str) -> bytes | None:
        """Files of the project and links into DVC's cache alone: another link could name any file of this machine."""
        place = self.root / path
        opened_files.note(place)
        try:
            inside = any(place.resolve().is_relative_to(one.resolve()) for one in (self.root, self._cache))
            if not inside or not place.is_file() or place.stat().st_size > LARGEST:
                return None
            return place.read_bytes()
        except (AssayError, OSError):
            return None

    def _output(self, path: str) -> tuple[str, str] | None:
        """The output that holds `path`, and DVC's hash of it."""
        above = [path, *(parent.as_posix() for parent in PurePosixPath(path).parents if parent.name)]
        try:
            found = ((place, dvc_lock.output_hash(self._lock, place)) for place in above)
            return next(((place, digest) for place, digest in found if digest), None)
        except UsageError:
            return None

    def _cached(self, path: str, output: str, digest: str) -> bytes:
        content = self._read(path, digest)
        if not digest.endswith(".dir"):
            return content
        inside = PurePosixPath(path).relative_to(output).as_posix()
        try:
            listed = {entry["relpath"]: entry["md5"] for entry in json.loads(content)}
            found = str(listed[inside])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{output} lists no {inside}") from error
        return self._read(path, found)

    def _read(self, path: str, digest: str) -> bytes:
        stored = self._cache / "files" / "md5" / digest[:2] / digest[2:]
        opened_files.note(stored)
        if stored.is_file() and stored.stat().st_size > LARGEST:
            raise UsageError(f"{path} has more than {LARGEST // 1_000_000} MB")
        return cached_predictions.file(self._cache, digest)

    def _hint(self, output: str) -> str:
        if not self.commit:
            return f"dvc pull {shlex.quote(output)}"
        return f"git checkout {self.commit[:12]} && dvc pull {shlex.quote(output)} && git checkout -"
