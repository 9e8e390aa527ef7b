"""The work tree after a landing: exactly the paths that it changed are brought to HEAD, by name.

Covers: which files are in the way, replacing the others, keeping the index in step. Nothing else in the work tree is
touched: no other file, no submodule, no output of DVC's (`acceptance.update_dvc_outputs`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assay.core.paths import PARAMS, ProjectPaths
from assay.runtime import git, git_plumbing

_SUBMODULE = "160000"
_GONE = "000000"


class TreeEntry(NamedTuple):
    """What stands at a path of a tree; mode 000000 for nothing."""

    mode: str
    object: str


def changes(root: Path, old: str, new: str) -> dict[str, tuple[TreeEntry, TreeEntry]]:
    """Path from the top → its entry in the tree `old` and in the tree `new`, where these differ."""
    options = ("-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-relative", "--ignore-submodules=none")
    words = git.run(root, "diff-tree", *options, old, new).split("\0")
    found = {}
    for header, path in zip(words[::2], words[1::2], strict=False):
        before, after, was, now, _ = header.removeprefix(":").split(" ")
        found[path] = TreeEntry(before, was), TreeEntry(after, now)
    return found


def brought(root: Path, old: str, new: str, experiment: str) -> dict[str, TreeEntry]:
    """Path → its entry in `new`, for all that the step from `old` or from `experiment` to `new` changes.

    After `dvc exp run` or `dvc exp apply` the work tree is the experiment's, and `old` is what HEAD was.
    """
    pairs = {**changes(root, experiment, new), **changes(root, old, new)}
    return {path: after for path, (_, after) in pairs.items()}


def foreign(root: Path, *commits: str) -> list[str]:
    """Tracked files of the repository that stand, in the work tree or in the index, as in none of `commits`."""
    edited = set.intersection(*(set(git.edited(root, commit)) for commit in commits))
    staged = set.intersection(*(set(git.edited(root, commit, staged=True)) for commit in commits))
    return sorted(edited | staged)


def overwritten(root: Path, old: str, new: str, experiment: str) -> list[str]:
    """What Git does not track and `new` would replace: files, or folders of files, that are not those of `new` or
    `experiment`."""
    top, pairs = git.top(root), changes(root, old, new)
    gone = {path for path, (_, after) in pairs.items() if after.mode == _GONE}
    added = [path for path, (before, after) in pairs.items() if before.mode == _GONE or _replaces(before, after)]
    there = {path: blocker for path in added if (blocker := _blocker(top, path, gone))}
    free = {path for path in there if there[path] == path and _alike(root, top, path, (new, experiment))}
    return sorted({blocker for path, blocker in there.items() if path not in free})


def _replaces(before: TreeEntry, after: TreeEntry) -> bool:
    """Whether a file is to come where a submodule stands."""
    return before.mode == _SUBMODULE and after.mode not in (_SUBMODULE, _GONE)


def _blocker(top: Path, path: str, gone: Collection[str]) -> str:
    """What stands where the file `path` is to come, "" when nothing does but what goes."""
    for above in reversed(PurePosixPath(path).parents[:-1]):
        place = top / above
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            return "" if above.as_posix() in gone else above.as_posix()
    place = top / path
    if place.is_dir() and not place.is_symlink():
        inside = (
            Path(folder, name).relative_to(top).as_posix() for folder, _, names in os.walk(place) for name in names
        )
        return next((file for file in inside if file not in gone), "")
    return path if os.path.lexists(place) else ""


def _alike(root: Path, top: Path, path: str, commits: Iterable[str]) -> bool:
    if (top / path).is_symlink():
        return False
    blob = git.run(root, "hash-object", "--", str(top / path))
    named = (git.run(root, "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False) for commit in commits)
    return blob in named


def follow(layout: ProjectPaths, old: str, experiment: str) -> list[str]:
    """Bring the paths that differ between `old` or `experiment` and HEAD to HEAD; the files that kept it from that.

    Only what is as in one of the three is replaced: all of it stays in Git. Killed before the index is written, the
    same call goes on.
    """
    root = layout.root
    new = git.run(root, "rev-parse", "HEAD")
    wanted = brought(root, old, new, experiment)
    kept = [path for path in foreign(root, old, experiment, new) if path in wanted]
    kept += overwritten(root, old, new, experiment)
    if kept:
        return kept
    flags = _flags(root, wanted)
    absent = {path for path, flag in flags.items() if flag in "Ss" and not os.path.lexists(git.top(root) / path)}
    outdated = set(git.edited(root, new)) - absent
    _write(root, {path: entry for path, entry in wanted.items() if path in outdated})
    _index(root, wanted, flags)
    return []


def behind(layout: ProjectPaths, old: str, experiment: str) -> bool:
    """Whether the index still is, at the paths that HEAD changed against `old`, what it was before: a landing always
    changes params.yaml, and writes its index in one step.
    """
    root = layout.root
    new = git.run(root, "rev-parse", "HEAD")
    changed = set(changes(root, old, new))
    outdated = set(git.edited(root, new, staged=True)) & changed
    others = set(git.edited(root, old, staged=True)) & set(git.edited(root, experiment, staged=True))
    return git.prefix(root) + PARAMS in outdated and not outdated & others


def _flags(root: Path, paths: Collection[str]) -> dict[str, str]:
    """Path → Git's letter for it, for those that Git was told not to look at."""
    lines = git.run(git.top(root), "ls-files", "-v", "-z").split("\0")
    return {line[2:]: line[0] for line in lines if line[:1] in ("h", "s", "S") and line[2:] in paths}


def _write(root: Path, wanted: dict[str, TreeEntry]) -> None:
    """Make these paths of the work tree as `wanted`, what goes first, then the attributes that the others obey."""
    top = git.top(root)
    gone = [path for path, entry in wanted.items() if entry.mode == _GONE]
    for path in gone:
        _remove(top, path)
    come = {path: entry for path, entry in wanted.items() if entry.mode not in (_GONE, _SUBMODULE)}
    rules = {path: entry for path, entry in come.items() if PurePosixPath(path).name == ".gitattributes"}
    for group in filter(None, (rules, come)):
        with git_plumbing.index(top) as scratch:
            scratch.run("update-index", "-z", "--index-info", stdin=_info(group))
            scratch.run("checkout-index", "--all", "--force", "--quiet")


def _remove(top: Path, path: str) -> None:
    """Remove a file, and folders that it leaves empty, as Git does."""
    place = top / path
    if place.is_symlink() or place.is_file():
        place.unlink()
    for folder in place.parents:
        if folder == top or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _index(root: Path, wanted: dict[str, TreeEntry], flags: dict[str, str]) -> None:
    """Make these paths of the repository's index as `wanted`, in one step; the flags stay."""
    top = git.top(root)
    git_plumbing.call(top, "update-index", "-z", "--index-info", stdin=_info(wanted))
    for option, letters in (("--skip-worktree", "Ss"), ("--assume-unchanged", "hs")):
        paths = [path for path, flag in flags.items() if flag in letters and wanted[path].mode != _GONE]
        if paths:
            git_plumbing.call(top, "update-index", option, "-z", "--stdin", stdin=_bytes("\0".join(paths)))
    git.run(top, "update-index", "-q", "--refresh", check=False)  # it fails where anything is edited


def _info(wanted: dict[str, TreeEntry]) -> bytes:
    """Lines for `git update-index --index-info`; what goes comes first, so that a folder can take its place."""
    order = sorted(wanted.items(), key=lambda item: item[1].mode != _GONE)
    return _bytes("".join(f"{int(entry.mode, 8):o} {entry.object}\t{path}\0" for path, entry in order))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
