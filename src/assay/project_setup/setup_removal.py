"""What `assay init --remove` takes out: exactly what init put in, as its commits say.

Git is the only memory: the commits of init carry a trailer, and a ref of ours names the last one. Covers: which commits
these are, each file without what they added. Refused is what the user has changed since, by its name. Not covered:
writing (`project_setup.commit_changes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import ProvenanceError, UsageError
from assay.project_setup import file_changes
from assay.project_setup.commit_changes import RECORD, REMOVED, TRAILER
from assay.project_setup.file_changes import Edit, EditedFile
from assay.runtime import git


class ChangedSinceError(Exception):
    """A version of a file that no longer has what init put there."""


@dataclass(frozen=True)
class Removal:
    """What is to be done, and files of ours that stay."""

    changes: list[EditedFile]
    kept: list[str]


def plan(top: Path) -> Removal:
    """The removal of everything that init put into the repository at `top`.

    Raises UsageError where init made no commit, ProvenanceError naming files that were changed since.
    """
    commits = _commits(top)
    if not commits:
        raise UsageError("no commit of `assay init` is in the history of HEAD", hint="assay init")
    edits: dict[str, Edit] = {}
    for commit in commits:
        for path, edit in _taken_back(top, commit).items():
            edits[path] = _then(edits[path], edit) if path in edits else edit
    kept = _needed_by_others(top, edits)
    changed, changes = [], []
    for path in (path for path in edits if path not in kept):
        try:
            changes += file_changes.find(top, {path: edits[path]}, git.resolve(top, "HEAD"))
        except ChangedSinceError:
            changed.append(path)
    if changed:
        raise ProvenanceError(
            f"{', '.join(changed)} {'was' if len(changed) == 1 else 'were'} changed since init wrote there; "
            "nothing was removed",
            allowed="files as init left them, or none",
            hint=f"git diff {commits[-1][:12]} -- {' '.join(changed)}",
        )
    return Removal(changes, kept)


def _commits(top: Path) -> list[str]:
    """Commits of init since the last removal, newest first."""
    begins = f"{TRAILER}: "
    form = f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x2C)"
    listed = git.run(top, "log", form, f"--grep=^{begins}", "HEAD", check=False).split("\n")
    found: list[str] = []
    for commit, _, value in (line.partition(" ") for line in listed if line):
        if value == REMOVED:
            return found
        if value:
            found.append(commit)
    recorded = git.resolve(top, RECORD)  # where it was told not to commit
    return found or ([recorded] if recorded else [])


def _taken_back(top: Path, commit: str) -> dict[str, Edit]:
    """Path → the edit that takes out what `commit` added to the file."""
    parent = git.resolve(top, f"{commit}^")
    empty = git.run(top, "hash-object", "-t", "tree", "/dev/null")
    names = git.run(top, "diff-tree", "-r", *git.NAMES, "--no-relative", parent or empty, commit).split("\0")
    paths = [name for name in names if name]
    changed = file_changes.in_commit(top, parent, paths) if parent else set()
    found = {}
    for path in paths:
        before = git.read(top, parent or "", path) if path in changed else None
        after = git.read(top, commit, path) or b""
        found[path] = _without_file(after) if before is None else _without_block(_block(before, after))
    return found


def _then(first: Edit, second: Edit) -> Edit:
    return lambda content: second(first(content))


def _without_file(content: bytes) -> Edit:
    def edit(now: bytes | None) -> bytes | None:
        if now is None or _lines(now) == _lines(content):
            return None
        raise ChangedSinceError

    return edit


def _without_block(block: bytes) -> Edit:
    def edit(now: bytes | None) -> bytes | None:
        if now is None:
            return None
        for form in (block, block.replace(b"\r\n", b"\n"), _lines(block).replace(b"\n", b"\r\n")):
            if form and now.count(form) == 1:
                return now.replace(form, b"")
        raise ChangedSinceError

    return edit


def _lines(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def _block(before: bytes, after: bytes) -> bytes:
    """What `after` has that `before` has not: one insertion, in whole lines where there are some."""
    if after.startswith(before):
        return after[len(before) :]
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    same = next((n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(old))
    rest = len(old) - same
    if rest <= len(new) - same and new[len(new) - rest :] == old[same:]:
        return b"".join(new[same : len(new) - rest])
    raise ChangedSinceError


def _needed_by_others(top: Path, edits: Mapping[str, Edit]) -> list[str]:
    """Files of `dvc init` that stay, as the repository has stages or data in DVC that are not ours."""
    listed = git.run(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.dvc", "*dvc.yaml")
    others = [
        path for path in listed.split("\0") if path and not path.startswith(".dvc/") and not _goes(top, path, edits)
    ]
    return sorted(path for path in edits if _is_of_dvc(path)) if others else []


def _goes(top: Path, path: str, edits: Mapping[str, Edit]) -> bool:
    """Whether the file `path` is gone after the removal."""
    place = top / path
    try:
        return path in edits and place.is_file() and edits[path](place.read_bytes()) is None
    except ChangedSinceError:
        return False


def _is_of_dvc(path: str) -> bool:
    names: Sequence[str] = path.split("/")
    return names[-1] == ".dvcignore" or (".dvc" in names and "plots" not in names)
