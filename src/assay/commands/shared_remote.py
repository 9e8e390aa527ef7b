"""`assay cache push` and `assay cache pull`: sealed replicates through DVC's remote, for machines without a shared
folder.

They lie beside DVC's own objects, in the folder `assay/replicates` of the remote, by their addresses; `dvc gc` leaves
them alone. Covers: copying what the other side lacks, checking seals. Not covered: what an entry means
(`replicates.replicate_cache`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from assay.core.errors import UsageError
from assay.replicates import cache_entries, cache_pruning
from assay.runtime import dvc_yaml, files, project_root, shared_files

#: folder of ours in a remote
FOLDER = ("assay", "replicates")


@dataclass(frozen=True)
class Carried:
    """What was copied, and what the other side had already; `damaged`: files whose seal was broken, left alone."""

    remote: str
    files: int
    size: int  # bytes
    known: int
    damaged: int


def push(start: Path, remote: str) -> Carried:
    """Put sealed replicates of this machine's cache into the remote. Raises UsageError where that is refused."""
    kept = dvc_yaml.store(project_root.find(start).root).replicates
    with _Remote(start, remote) as there:
        known = there.listed()
        copied = size = damaged = 0
        for name, path in _sealed(kept):
            raw = shared_files.read(path)
            if name in known or raw is None:
                continue
            if cache_entries.content(raw) is None:
                damaged += 1
                continue
            there.put(name, raw)
            copied, size = copied + 1, size + len(raw)
        return Carried(there.name, copied, size, len(known), damaged)


def pull(start: Path, remote: str) -> Carried:
    """Take from the remote the sealed replicates that this machine's cache lacks, as many as it has room for."""
    kept = dvc_yaml.store(project_root.find(start).root).replicates
    room = cache_pruning.LIMIT - sum(one.size for one in cache_pruning.found(kept.parent))
    with _Remote(start, remote) as there:
        known = {name for name, _ in _sealed(kept)}
        wanted = there.listed() - known
        copied = size = damaged = 0
        for name in sorted(wanted):
            raw = there.get(name)
            if cache_entries.content(raw) is None:
                damaged += 1
                continue
            if size + len(raw) > room:
                raise UsageError(
                    f"the cache has no room for {len(wanted) - copied} more files of {there.name}",
                    allowed=f"{cache_pruning.LIMIT / 1e9:.1f} GB in all",
                    hint="assay cache --prune 1G, then assay cache pull",
                )
            files.write_bytes(kept / name, raw)
            copied, size = copied + 1, size + len(raw)
        return Carried(there.name, copied, size, len(known), damaged)


def _sealed(kept: Path) -> Iterator[tuple[str, Path]]:
    """Name in the remote, and file, of each part of an entry."""
    for entry in shared_files.names(kept):
        if (kept / entry).is_dir():
            yield from ((f"{entry}/{name}", kept / entry / name) for name in shared_files.names(kept / entry))


class _Remote:
    """Our folder in a remote of DVC. Whatever DVC or a file system raises is a UsageError."""

    def __init__(self, start: Path, name: str) -> None:
        self._root = project_root.find(start).root
        self._asked = name

    def __enter__(self) -> _Remote:
        try:
            self._repo = Repo(str(self._root))
            found = self._repo.cloud.get_remote(name=self._asked or None)
        except DvcException as error:
            raise UsageError(f"DVC has no such remote: {error}", hint="dvc remote add -d NAME URL") from error
        self.name, self._fs = str(found.name), found.fs
        self._top = self._fs.join(found.path, *FOLDER)
        return self

    def __exit__(self, *_error: object) -> None:
        self._repo.close()

    def listed(self) -> set[str]:
        """Names `ENTRY/FILE` of all that is there."""
        return {"/".join(self._fs.parts(path)[-2:]) for path in self._tried(self._found) if not path.endswith(".part")}

    def put(self, name: str, raw: bytes) -> None:
        """Under another name first: nobody may take half a file for a whole one."""
        place = self._fs.join(self._top, *name.split("/"))
        aside = f"{place}.{shared_files.host()}.part"
        with tempfile.NamedTemporaryFile() as local:
            local.write(raw)
            local.flush()
            self._tried(lambda: self._fs.makedirs(self._fs.parent(place), exist_ok=True))
            self._tried(lambda: self._fs.put_file(local.name, aside))
            self._tried(lambda: self._fs.move(aside, place))

    def get(self, name: str) -> bytes:
        found: bytes = self._tried(lambda: self._fs.cat_file(self._fs.join(self._top, *name.split("/"))))
        return found

    def _found(self) -> list[str]:
        return list(self._fs.find(self._top)) if self._fs.exists(self._top) else []

    def _tried(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # remotes raise what their libraries like
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise UsageError(
                f"the remote {self.name} refuses: {said}", hint="dvc doctor, then the same again"
            ) from error
