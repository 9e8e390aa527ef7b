"""Pages that were made before, found again without making anything: imports alone take longer than reading one.

Covers: what a page was made from, which is Git's refs and work tree, the files that were opened, what ran here, this
library and what is installed beside it; a page is found only where all of that is as it was. They lie under Git's
common folder, which no clone or pull brings along. A cache that may be deleted at any moment. Not covered: what a page
says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from assay.runtime import files, git, opened_files
from assay.runtime.opened_files import OpenedFiles
from assay.runtime.source_roots import OURS

SCHEMA = 1
_BYTES = ("utf-8", "surrogateescape")
#: beyond so many pages the older half goes
MOST = 40
#: variables that say where Git and DVC look
_STEERS = ("DVC_", "GIT_", "HOME", "XDG_")
#: folders in Git's common folder that say what ran here (`metrics.ran_on_this_machine`)
_NOTES = ("code", "scores")
#: files in Git's common folder that change how Git reads
_SETTINGS = ("config", "info/attributes")
_STATUS = (
    *("--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--no-ahead-behind"),
    *("--untracked-files=all", "--ignore-submodules=untracked", "--no-renames", "-z"),
)


class KeptPage(NamedTuple):
    """A page, and the line that is said of it."""

    text: str
    said: str


@dataclass(frozen=True)
class KeptPages:
    """Pages about `question` (the command's words) of the project at `root`. `output` is written, and not read."""

    root: Path
    question: Sequence[str]
    output: Path

    def key(self) -> str:
        """What identifies all that is not in the list of opened files; "" outside of Git."""
        return "" if self._folder is None else files.digest("\n".join(self._parts(self._folder)).encode(*_BYTES))

    def find(self, key: str) -> KeptPage | None:
        """The page that was kept under `key`; None where there is none, or a file that it was made from changed."""
        path = self._path(key)
        with suppress(OSError, ValueError, KeyError, TypeError):
            head, _, text = path.read_bytes().decode(*_BYTES).partition("\n")
            known = json.loads(head)
            states = {name: None if found is None else tuple(found) for name, found in known["opened"].items()}
            if known["schema"] == SCHEMA and opened_files.unchanged(states):
                return KeptPage(text, str(known["said"]))
        return None

    def keep(self, key: str, page: KeptPage, opened: OpenedFiles) -> None:
        """Keep a page that was made from `opened` while `key` held. Where nothing can be written, nothing is kept."""
        caches = f"{self._folder}{os.sep}"  # what they hold follows from the rest
        states = {name: found for name, found in opened.states.items() if not name.startswith(caches)}
        if not key or not opened.settled or self.key() != key or not opened_files.unchanged(states):
            return
        head = json.dumps({"schema": SCHEMA, "said": page.said, "opened": states})
        path = self._path(key)
        with suppress(OSError):
            files.write_bytes(path, f"{head}\n{page.text}".encode(*_BYTES))
            _prune(path.parent)

    def _path(self, key: str) -> Path:
        return (self._folder or Path()) / "pages" / f"{key or 'none'}.page"

    @cached_property
    def _folder(self) -> Path | None:
        common = git.run(self.root, "rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
        return Path(common) / "assay" if common else None

    def _parts(self, folder: Path) -> Iterator[str]:
        yield f"{SCHEMA} {self.root} {Path.cwd()} {list(self.question)}"
        yield git.run(self.root, "for-each-ref", "--format=%(objectname) %(refname)", check=False)
        yield from self._work_tree()
        yield from (f"{name} {sorted(_names(folder / name))}" for name in _NOTES)
        yield from (f"{name} {opened_files.state(str(folder.parent / name))}" for name in _SETTINGS)
        yield from (f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_STEERS))
        yield from _library()

    def _work_tree(self) -> Iterator[str]:
        """Which files differ from the index and which are new; what they hold is seen where one is opened."""
        top = git.run(self.root, "rev-parse", "--show-toplevel", check=False)
        ours = os.path.relpath(self.output.resolve(), top or self.root)
        yield from (line for line in git.run(self.root, *_STATUS, check=False).split("\0") if line != f"? {ours}")


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names alone
    except OSError:
        return []


def _library() -> Iterator[str]:
    """Assay's files, and the folders of installed packages, which change with what is installed."""
    yield sys.version
    for folder in sys.path:
        with suppress(OSError):
            yield f"{folder} {os.stat(folder).st_mtime_ns}"  # noqa: PTH116
    for above, folders, names in os.walk(OURS):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (f"{above}/{name} {opened_files.state(f'{above}/{name}')}" for name in names)


def _prune(folder: Path) -> None:
    found = sorted(folder.glob("*.page"), key=lambda path: path.stat().st_mtime)
    for path in found[: len(found) // 2] if len(found) > MOST else ():
        path.unlink(missing_ok=True)
