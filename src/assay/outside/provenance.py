"""The code that runs is the code that Git and DVC know, from the work tree that runs.

Covers: imported files that Git does not track, that no stage watches, or that come from another work tree of the
repository; files inside a stage's dependencies that Git does not track. Not covered: which sources an import *would*
reach (`outside.closure`).
"""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from assay.outside import closure, git
from assay.outside import tree as trees
from assay.words.errors import ProvenanceError

#: project, and a file of its work tree that a worker process of this one has imported
_met: set[tuple[Path, str]] = set()


def met(root: Path, files: Iterable[str]) -> None:
    """Take note of what `imported` gave in a worker process."""
    _met.update((root, file) for file in files)


def imported(root: Path) -> list[str]:
    """Files of the work tree around `root` that this process and its workers have imported, relative to `root`.

    Not those of Assay or of installed packages.
    """
    here, top = root.resolve(), str(trees.top(root.resolve()))
    found = {file for place, file in _met if place == root}
    found |= {os.path.relpath(file, here) for file in _loaded(top)}
    return sorted(Path(file).as_posix() for file in found)


def from_elsewhere(root: Path, home: Path) -> list[str]:
    """Files of the repository at `home` that this process has imported from outside of the work tree around `root`."""
    own, top = trees.top(root.resolve()), trees.top(home.resolve())
    return sorted(str(file) for file in _loaded(str(top)) if not file.is_relative_to(own))


def _loaded(top: str) -> set[Path]:
    """Files below `top` that were imported: neither Assay's, nor of an installed package, nor Python's."""
    elsewhere = tuple(prefix for prefix in {sys.prefix, sys.base_prefix} if not top.startswith(prefix))
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)  # a relative name for some modules of torch
        if not isinstance(file, str) or file.startswith(elsewhere) or not os.path.isabs(file):  # noqa: PTH117
            continue  # resolving the thousand files of torch would take longer than all the rest
        real = Path(os.path.realpath(file))
        if real.is_relative_to(top) and not real.is_relative_to(trees.OURS) and not trees.installed(real):
            found.add(real)
    return found


def tracked(root: Path, files: Collection[str]) -> set[str]:
    """Those of `files` (relative to `root`) that Git tracks."""
    if not files:
        return set()
    return _listed(root, "--cached", files)


def check_known(root: Path, files: Sequence[str]) -> None:
    """Refuse the first of `files` (relative to `root`) that Git does not track."""
    known = tracked(root, files)
    for file in files:
        if file not in known:
            raise ProvenanceError(f"{file} is imported but Git does not track it", mend=f"git add {_quoted(file)}")


def check(root: Path, stage: str, dependencies: Sequence[str], files: Iterable[str], seen: Collection[str]) -> None:
    """Refuse `files` (relative to `root`) that Git does not track or that nothing watches for `stage`.

    `seen` are those that `context` saw, `dependencies` what dvc.yaml lists beside. Raises ProvenanceError (exit 4)
    naming the first such file and the mend.
    """
    wanted = list(files)
    check_known(root, wanted)
    for file in wanted:
        if not _watched(root, file, dependencies, seen):
            raise ProvenanceError(
                f"stage {stage} imports {file}, which no import statement that it reaches names",
                mend=f"import it at the top of a module, or add `- {file}` under stages.{stage}.deps in dvc.yaml",
            )
    for file in _untracked_inside(root, dependencies, seen):
        raise ProvenanceError(
            f"{file} lies inside the dependencies of stage {stage} but Git does not track it",
            mend=f"git add {_quoted(file)}, or move it elsewhere",
        )


def check_tree(root: Path, home: Path, stage: str) -> None:
    """Refuse modules that come from the repository, and not from the work tree that runs."""
    for file in from_elsewhere(root, home):
        raise ProvenanceError(
            f"stage {stage} imported {file}, which is not of the work tree that runs ({trees.top(root)})",
            mend="move it to the folder of dvc.yaml, to the top of the repository, or into src beside either",
        )


def check_left_behind(home: Path, root: Path, stage: str, dependencies: Sequence[str], files: Collection[str]) -> None:
    """Refuse what a `--temp` or `--queue` run at `root` goes without, as Git does not track it in `home`.

    DVC takes tracked files along and nothing else; such a run would end well with other code than the one at hand.
    """
    here, there = trees.project(root), trees.project(home)
    names = sorted({name for file in files for name in closure.imported_names(here, Path(file))})
    found = (file for name in names if (file := there.find(name)) and not here.find(name))
    missing = {file.as_posix(): "imports" for file in found}
    inside = {file: "depends on" for file in _untracked_inside(home, dependencies, files) if not (root / file).exists()}
    for name, how in (missing | inside).items():
        raise ProvenanceError(
            f"stage {stage} {how} {name}, which this run lacks: Git does not track it",
            mend=f"git add {_quoted(name)}, or move it elsewhere",
        )


def late(root: Path, dependencies: Sequence[str], seen: Collection[str]) -> list[str]:
    """Modules imported by now that `check` would refuse: they make a result unproven."""
    files = imported(root)
    known = tracked(root, files)
    return [file for file in files if file not in known or not _watched(root, file, dependencies, seen)]


def _watched(root: Path, file: str, dependencies: Sequence[str], seen: Collection[str]) -> bool:
    return file in seen or _inside(file, dependencies) or closure.inert(root, Path(file))


def _untracked_inside(root: Path, dependencies: Sequence[str], sources: Collection[str]) -> list[str]:
    """Files that Git neither tracks nor ignores in those of `dependencies` that hold sources; data may have some."""
    top = trees.top(root.resolve())
    entries = (path for path in map(posixpath.normpath, dependencies) if any(_inside(one, [path]) for one in sources))
    folders = (path for path in entries if (root / path).is_dir())
    present = [path for path in folders if (root / path).resolve().is_relative_to(top)]
    return sorted(_listed(root, "--others", present, "--exclude-standard")) if present else []


def _listed(root: Path, kind: str, paths: Iterable[str], *options: str) -> set[str]:
    said = git.run(root, "--literal-pathspecs", "ls-files", "-z", kind, *options, "--", *paths)
    return {file for file in said.split("\0") if file}


def _inside(file: str, dependencies: Sequence[str]) -> bool:
    entries = map(posixpath.normpath, dependencies)
    return any(file == entry or file.startswith(f"{entry}/") for entry in entries)


def _quoted(file: str) -> str:
    return f"'{file}'" if " " in file else file
