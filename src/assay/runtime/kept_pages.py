"""Pages that were made before, found again without making anything: imports alone take longer than reading one.

A page is found where all that it was made from is as it was: the files that were opened, what Git was asked, what ran
here, this library and what is installed beside it. Other things may change: other experiments with their looks, edits
of files that it does not show, comments in params.yaml. Pages lie under Git's common folder, which no clone or pull
brings along. A cache that may be deleted at any moment. Not covered: what a page says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from assay.core import yaml12
from assay.core.errors import UsageError
from assay.core.paths import PARAMS
from assay.runtime import append_only_ref, files, git, git_questions, opened_files
from assay.runtime.append_only_ref import LOOKS
from assay.runtime.git_questions import GitQuestions
from assay.runtime.opened_files import OpenedFiles
from assay.runtime.source_roots import OURS

SCHEMA = 2
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
#: of a tracked file that is there and edited: what it holds is seen where it is opened
_EDITED = ("1 .M ", "1 M. ", "1 MM ", "# branch")
_OF_OURS = "refs/assay/"


class KeptPage(NamedTuple):
    """A page, and the line that is said of it."""

    text: str
    said: str


class ProjectState(NamedTuple):
    """Hashes of a project at one moment. `place`: what no page outlives; `exact`: all refs and the whole status.

    `loose`: which files there are, and what Assay keeps in Git, without the ledger of looks.
    """

    place: str
    exact: str
    loose: str


@dataclass(frozen=True)
class KeptPages:
    """Pages about `question` (the command's words) of the project at `root`. `output` is written, and not read."""

    root: Path
    question: Sequence[str]
    output: Path

    def now(self) -> ProjectState | None:
        """The project as it is; None outside of Git."""
        if self._folder is None:
            return None
        refs = git.run(self.root, "for-each-ref", "--format=%(objectname) %(refname)", check=False).split("\n")
        status = list(self._work_tree())
        ours = [line for line in refs if f" {_OF_OURS}" in line and not line.endswith(f" {LOOKS}")]
        there = [line for line in status if not line.startswith(_EDITED)]
        return ProjectState(_hash(self._place(self._folder)), _hash([*refs, *status]), _hash([*ours, *there]))

    def find(self, now: ProjectState | None) -> KeptPage | None:
        """The page that was kept; None where there is none, or something changed that it was made from."""
        if now is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            head, _, text = self._path(now).read_bytes().decode(*_BYTES).partition("\n")
            known = json.loads(head)
            if known["schema"] == SCHEMA and self._holds(known, now):
                return KeptPage(text, str(known["said"]))
        return None

    def keep(
        self,
        before: ProjectState | None,
        page: KeptPage,
        opened: OpenedFiles,
        asked: GitQuestions,
        ideas: Collection[str] | None,
    ) -> None:
        """Keep a page that was made from `opened` and `asked` while the project stayed as `before`.

        `ideas`: strategies whose entries of the ledger it was made from, None for all. Where nothing can be written,
        nothing is kept.
        """
        states = {name: found for name, found in opened.states.items() if not self._is_cached(name)}
        if before is None or not opened.settled:
            return
        known: dict[str, Any] = {"schema": SCHEMA, "said": page.said, "opened": states, "exact": before.exact}
        if asked.all_known and ideas is not None:
            ledger = self._ledger(ideas)
            known |= {"loose": before.loose, "answers": asked.answers(), "ideas": sorted(ideas), "ledger": ledger}
            known["params"] = _values(self._params) if self._params in states else ""
        if self.now() != before or not opened_files.unchanged(states):
            return
        path = self._path(before)
        with suppress(OSError):
            files.write_bytes(path, f"{json.dumps(known)}\n{page.text}".encode(*_BYTES))
            _prune(path.parent)

    def _holds(self, known: Mapping[str, Any], now: ProjectState) -> bool:
        """Whether all that a page was made from is as it was: at a glance, else question by question."""
        states = {name: None if found is None else tuple(found) for name, found in known["opened"].items()}
        if known["exact"] == now.exact and opened_files.unchanged(states):
            return True
        if known.get("loose") != now.loose:
            return False
        params = states.pop(self._params, None)
        same = params is None or opened_files.state(self._params) == params or _values(self._params) == known["params"]
        return (
            same
            and opened_files.unchanged(states)
            and self._ledger(known["ideas"]) == known["ledger"]
            and all(git_questions.answer(self.root, q.split("\0")) == said for q, said in known["answers"].items())
        )

    def _ledger(self, ideas: Collection[str]) -> str:
        """Hash of what the ledger of looks has of these strategies; of all that Git shows before there is a ledger."""
        (found,) = append_only_ref.read(self.root, LOOKS)
        if not found.tip:
            return git_questions.answer(self.root, ["for-each-ref"])
        named = [idea.encode(*_BYTES) for idea in ideas if idea]
        own = [f"{path} {text!r}" for path, text in found.files.items() if any(name in text for name in named)]
        return _hash(sorted(own))

    def _is_cached(self, name: str) -> bool:
        """Whether a file is one of our caches, whose content follows from the rest: all but the notes of what ran."""
        ours = f"{self._folder}{os.sep}"
        return name.startswith(ours) and not name.startswith(tuple(f"{ours}{notes}{os.sep}" for notes in _NOTES))

    @property
    def _params(self) -> str:
        return str(self.root / PARAMS)

    def _path(self, now: ProjectState) -> Path:
        return (self._folder or Path()) / "pages" / f"{now.place}.page"

    @cached_property
    def _folder(self) -> Path | None:
        common = git.run(self.root, "rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
        return Path(common) / "assay" if common else None

    @cached_property
    def _top(self) -> str:
        return git.run(self.root, "rev-parse", "--show-toplevel", check=False)

    def _place(self, folder: Path) -> Iterator[str]:
        yield f"{SCHEMA} {self.root} {self._top} {folder} {Path.cwd()} {list(self.question)}"
        yield from (f"{name} {opened_files.state(str(folder.parent / name))}" for name in _SETTINGS)
        yield from (f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_STEERS))
        yield from _library()

    def _work_tree(self) -> Iterator[str]:
        """Which files differ from the index and which are new; what they hold is seen where one is opened."""
        ours = os.path.relpath(self.output.resolve(), self._top or self.root)
        yield from (line for line in git.run(self.root, *_STATUS, check=False).split("\0") if line != f"? {ours}")


def _hash(lines: Iterator[str] | Sequence[str]) -> str:
    return files.digest("\n".join(lines).encode(*_BYTES))


def _values(path: str) -> str:
    """Hash of the values in a file of parameters, whatever its comments say; "" where it cannot be read."""
    try:
        return _hash([repr(yaml12.parse(Path(path).read_bytes()))])
    except (OSError, UsageError):
        return ""


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
