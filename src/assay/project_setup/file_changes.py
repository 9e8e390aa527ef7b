"""Files that `assay init` adds or adds to, in the three versions that Git has of each: HEAD, the index, the work tree.

An edit is made in each version by itself. So the commit holds HEAD's version and our lines, and the work tree keeps the
user's own edits beside them. Covers: reading, comparing, writing and putting back. Not covered: committing
(`project_setup.commit_changes`), what the edits are (`project_setup.setup_plan`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import files, git

#: a version of a file → the version with our lines; None stands for no file
Edit = Callable[[bytes | None], bytes | None]


@dataclass(frozen=True)
class Versions:
    """Contents of one file; None where it is not there."""

    head: bytes | None
    index: bytes | None
    tree: bytes | None


@dataclass(frozen=True)
class EditedFile:
    """One file, named from the top of the repository."""

    path: str
    before: Versions
    after: Versions

    @property
    def commits(self) -> bool:
        """Whether the commit needs it."""
        return self.before.head != self.after.head

    @property
    def writes(self) -> bool:
        """Whether the work tree needs it."""
        return self.before.tree != self.after.tree


def versions(top: Path, path: str, commit: str, index: bool) -> Versions:
    """The file at `path` as it is; `commit` is HEAD, "" where that has no such file, `index` whether Git tracks one."""
    place = top / path
    if place.is_symlink() or (place.exists() and not place.is_file()) or not _reachable(top, place):
        raise UsageError(f"{path} is no plain file of this repository", hint=f"move {path} elsewhere, then run again")
    head, staged = git.read(top, commit, path) if commit else None, git.read(top, "", path) if index else None
    return Versions(head, staged, place.read_bytes() if place.exists() else None)


def _reachable(top: Path, place: Path) -> bool:
    """Whether the folders above `place` are plain ones, as far as they are there."""
    above = [folder for folder in place.parents if folder.is_relative_to(top)]
    return all(not folder.is_symlink() and (folder.is_dir() or not os.path.lexists(folder)) for folder in above[:-1])


def find(top: Path, edits: Mapping[str, Edit], commit: str | None) -> list[EditedFile]:
    """What `edits` change, in the order in which they are given."""
    found = []
    tracked = _listed(top, "ls-files", "--full-name", "-z", "--", *edits)
    committed = (
        _listed(top, "ls-tree", "-r", "--full-tree", "--name-only", "-z", commit, "--", *edits) if commit else ()
    )
    for path, edit in edits.items():
        before = versions(top, path, commit if commit and path in committed else "", index=path in tracked)
        after = Versions(edit(before.head), edit(before.index), edit(before.tree))
        if before.head is None and before.index is None:  # a file that Git does not know yet
            after = Versions(after.head, after.head, after.tree)
        change = EditedFile(path, before, after)
        if change.commits or change.writes:
            found.append(change)
    return found


def in_commit(top: Path, commit: str, paths: Iterable[str]) -> set[str]:
    """Those of `paths` that a commit has."""
    return _listed(top, "ls-tree", "-r", "--full-tree", "--name-only", "-z", commit, "--", *paths)


def _listed(top: Path, *command: str) -> set[str]:
    return set(git.run(top, "--literal-pathspecs", *command, check=False).split("\0"))


def write(top: Path, changes: Iterable[EditedFile]) -> None:
    """Bring the work tree to what the changes say."""
    for change in changes:
        if change.writes:
            _put(top, change.path, change.before.tree, change.after.tree)


def restore(top: Path, changes: Iterable[EditedFile]) -> None:
    """Take `write` back, where the file still is as it left it."""
    for change in changes:
        place = top / change.path
        now = place.read_bytes() if place.is_file() else None
        if change.writes and now == change.after.tree:
            _put(top, change.path, now, change.before.tree)


def _put(top: Path, path: str, old: bytes | None, content: bytes | None) -> None:
    place = top / path
    if content is not None:
        mode = place.stat().st_mode if old is not None else None
        files.write_bytes(place, content)
        if mode is not None:
            place.chmod(mode & 0o7777)
        return
    place.unlink(missing_ok=True)
    for folder in place.parents:  # as Git does with folders that become empty
        if folder == top or any(folder.iterdir()):
            return
        folder.rmdir()


def diff(changes: Iterable[EditedFile]) -> str:
    """What the work tree would see, as a unified diff."""
    return "".join(
        _one(change.path, change.before.tree, change.after.tree) for change in changes if change.writes
    ).removesuffix("\n")


def _one(path: str, before: bytes | None, after: bytes | None) -> str:
    old, new = ((content or b"").decode("utf-8", "replace").splitlines(keepends=True) for content in (before, after))
    names = f"a/{path}" if before is not None else "/dev/null", f"b/{path}" if after is not None else "/dev/null"
    lines = difflib.unified_diff(old, new, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
