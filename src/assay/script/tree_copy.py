"""Copies of a project's tracked files, in which its script runs: one as it was when the arm began, one a replicate.

Covers: which files, copying them, linking what lies outside of Git, telling what a script changed. Large files are
links to the first copy, which is ours; what a script does to any of them is seen afterwards. Not covered: what
`task.files` means (`script.input_files`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import PIPELINE
from assay.runtime import git
from assay.runtime import source_roots as trees

#: a file of so many bytes is linked and not copied
LINKED = 2**20
States = tuple[int | str, ...]


@dataclass(frozen=True)
class TreeCopy:
    """Tracked files below `top`; `project` is the folder of dvc.yaml in there."""

    top: Path
    project: Path
    names: tuple[str, ...]  # of all files, relative to `top`


def snapshot(root: Path, top: Path) -> TreeCopy:
    """The tracked files of the project at `root`, and all Python sources of its repository, as they stand."""
    above = trees.top(root.resolve())
    inside = os.path.relpath(root.resolve(), above)
    names = tuple(sorted(set(_names(root.resolve(), above))))
    _copy(above, top, names, linking=False)
    (top / inside).mkdir(parents=True, exist_ok=True)
    return TreeCopy(top, top / inside, names)


def _names(root: Path, above: Path) -> Iterator[str]:
    """Files relative to the top of the repository, or of an unpacked commit."""
    if (above / trees.SEAL).exists():
        for folder, _, found in os.walk(above):
            for path in (Path(folder, name) for name in found):
                if path.name != trees.SEAL and "__pycache__" not in path.parts and not _leaves(path, above):
                    yield os.path.relpath(path, above)
        return
    for start, wanted in ((root, "."), (above, ":(glob)**/*.py")):
        listed = git.run(start, "ls-files", "-z", "--full-name", "--", wanted).split("\0")
        for name in listed:
            path = above / name
            if name and os.path.lexists(path) and not _leaves(path, above):
                yield name


def _leaves(path: Path, above: Path) -> bool:
    """Whether it is a link out of the repository, or a folder, as a submodule is: no commit holds what is there."""
    if path.is_symlink():
        leads = Path(os.path.normpath(path.parent / path.readlink()))
        return path.readlink().is_absolute() or not leads.is_relative_to(above)
    return path.is_dir()


def replicate(of: TreeCopy, top: Path) -> TreeCopy:
    """A copy of a copy, for one replicate."""
    _copy(of.top, top, of.names, linking=True)
    project = top / os.path.relpath(of.project, of.top)
    project.mkdir(parents=True, exist_ok=True)
    return TreeCopy(top, project, of.names)


def _copy(source: Path, target: Path, names: Iterable[str], *, linking: bool) -> None:
    for name in names:
        old, new = source / name, target / name
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.is_symlink():
            new.symlink_to(old.readlink())
        elif linking and old.stat().st_size >= LINKED:
            _link_or_copy(old, new)
        else:
            shutil.copy2(old, new)


def _link_or_copy(old: Path, new: Path) -> None:
    try:
        new.hardlink_to(old)
    except OSError:  # not every file system has such links
        shutil.copy2(old, new)


def link(source: Path, place: Path) -> None:
    """Let `place` in a copy lead to `source`; in a folder that the copy has, let each thing that it lacks."""
    if place.is_dir() and source.is_dir() and not place.is_symlink():
        for inner in sorted(source.iterdir()):
            link(inner, place / inner.name)
    elif not os.path.lexists(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source.resolve(), target_is_directory=source.is_dir())


def lay_over(copy: TreeCopy, ruler: Iterable[Path], root: Path) -> None:
    """Put the files `ruler`, named from the folder of dvc.yaml, as they are in the project at `root` into `copy`."""
    for name in ruler:
        place = copy.project / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copy2(root / name, place)


def states(copy: TreeCopy) -> dict[str, States]:
    """Name → size and time of each tracked file; a link counts by where it leads."""
    return {name: _state(copy.top / name) for name in copy.names}


def _state(path: Path) -> States:
    try:
        found = path.lstat()
    except OSError:
        return ()
    return (str(path.readlink()),) if path.is_symlink() else (found.st_size, found.st_mtime_ns)


def changed(copy: TreeCopy, before: dict[str, States], first: TreeCopy) -> list[str]:
    """Tracked files of `copy` that are not as in `first`, whose states were `before`, named from the folder of
    dvc.yaml; one that was written again with the same content is as it was."""
    touched = [name for name in copy.names if _state(copy.top / name) != before[name]]
    found = [name for name in touched if not _alike(copy.top / name, first.top / name)]
    return [Path(os.path.relpath(copy.top / name, copy.project)).as_posix() for name in found]


def _alike(path: Path, original: Path) -> bool:
    """Whether two files hold the same; one file under two names was edited in both."""
    if path.is_symlink() or not path.is_file() or path.samefile(original):
        return False
    return path.read_bytes() == original.read_bytes()


def refuse_changed(names: list[str], who: str) -> None:
    """Raise UsageError for the tracked files `names`, which a script changed."""
    if names:
        live = " (DVCLive does with its default: Live(dvcyaml=None))" if PIPELINE in names else ""
        raise UsageError(
            f"{who} changed {', '.join(names[:3])}, which Git tracks{live}",
            allowed="new files, best in {out}",
            hint="let the script write elsewhere",
        )
