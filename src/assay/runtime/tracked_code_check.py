"""The code that runs is the code that Git and DVC know, from the work tree that runs.

Covers: imported files that Git does not track, that no stage watches, or that come from another work tree of the
repository; files inside a stage's dependencies that Git does not track. Not covered: which sources an import *would*
reach (`runtime.import_closure`).
"""

from __future__ import annotations

import os
import posixpath
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from assay.core.errors import ProvenanceError
from assay.runtime import git, import_closure
from assay.runtime import source_roots as trees
from assay.runtime.git_commit_hint import commit_command, named

#: made by the interpreter beside the sources; .dvcignore keeps DVC from hashing them, too
_BYPRODUCTS = frozenset({"__pycache__"})
#: project, and a file of its work tree that a worker process of this one has imported
_met: set[tuple[Path, str]] = set()


def met(root: Path, files: Iterable[str]) -> None:
    """Take note of what `imported` gave in a worker process."""
    _met.update((root, file) for file in files)


def imported(root: Path) -> list[str]:
    """Files of the work tree around `root` that this process and its workers have imported, relative to `root`.

    Not those of Assay or of installed packages. Where a symbolic link leads is for `check` to say.
    """
    found = {file for place, file in _met if place == root}
    found |= {os.path.relpath(file, root) for file in _loaded(trees.top(root))}
    return sorted(Path(file).as_posix() for file in found)


def from_elsewhere(root: Path, home: Path) -> list[str]:
    """Files of the repository at `home` that this process has imported from outside of the work tree around `root`."""
    own, other = trees.top(root), trees.top(home)
    inside = (str(own) + os.sep, str(own.resolve()) + os.sep)
    return sorted(file for file in _loaded(other) if not file.startswith(inside))


def _loaded(top: Path) -> set[str]:
    """Files below `top` that were imported, by their names below it: neither Assay's, nor installed, nor Python's."""
    named, real = f"{top}{os.sep}", f"{top.resolve()}{os.sep}"
    elsewhere = tuple(prefix for prefix in {sys.prefix, sys.base_prefix} if not real.startswith(prefix))
    ours = f"{trees.OURS}{os.sep}"
    found = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)  # a relative name for some modules of torch
        if not isinstance(file, str) or file.startswith(elsewhere) or not os.path.isabs(file):  # noqa: PTH117
            continue  # resolving the thousand files of torch would take longer than all the rest
        leads = os.path.realpath(file)
        if leads.startswith(ours) or trees.installed(Path(file)):
            continue
        if file.startswith(named):
            found.add(file)
        elif leads.startswith(real):
            found.add(named + leads[len(real) :])
    return found


def tracked(root: Path, files: Collection[str]) -> set[str]:
    """Those of `files` (relative to `root`) that Git tracks."""
    if not files:
        return set()
    return _listed(root, "--cached", files)


def check_known(root: Path, files: Sequence[str]) -> None:
    """Refuse `files` (relative to `root`) that Git does not track, or that lie behind a link."""
    known = tracked(root, files)
    missing = [file for file in files if file not in known or leads_elsewhere(root, file)]
    for file in missing:
        if refusal := _out_of_reach(root, file):
            raise refusal
    if missing:
        text = f"{named(missing)} {'is' if len(missing) == 1 else 'are'} imported but Git does not track"
        raise ProvenanceError(f"{text} {_them(missing)}", hint=commit_command(root, missing))


def check(root: Path, stage: str, dependencies: Sequence[str], files: Iterable[str], seen: Collection[str]) -> None:
    """Refuse `files` (relative to `root`) that Git does not track or that nothing watches for `stage`.

    `seen` are those that `context` saw, `dependencies` what dvc.yaml lists beside. Raises ProvenanceError (exit 4)
    naming the first such file and the hint.
    """
    wanted = list(files)
    check_known(root, wanted)
    for file in wanted:
        if not _watched(root, file, dependencies, seen):
            raise ProvenanceError(
                f"stage {stage} imports {file}, which no import statement that it reaches names",
                hint=f"import it at the top of a module, or add `- {file}` under stages.{stage}.deps in dvc.yaml",
            )
    if strange := _untracked_inside(root, dependencies, seen):
        lies = "lies" if len(strange) == 1 else "lie"
        raise ProvenanceError(
            f"{named(strange)} {lies} inside the dependencies of stage {stage} but Git does not track {_them(strange)}",
            hint=f"{commit_command(root, strange)}, or move {_them(strange)} elsewhere",
        )


def check_tree(root: Path, home: Path, stage: str) -> None:
    """Refuse modules that come from the repository, and not from the work tree that runs."""
    for file in from_elsewhere(root, home):
        raise ProvenanceError(
            f"stage {stage} imported {file}, which is not of the work tree that runs ({trees.top(root)})",
            hint="move it to the folder of dvc.yaml, to the top of the repository, or into src beside either",
        )


def check_left_behind(home: Path, root: Path, stage: str, dependencies: Sequence[str], files: Collection[str]) -> None:
    """Refuse what a `--temp` or `--queue` run at `root` goes without, as Git does not track it in `home`.

    DVC takes tracked files along and nothing else; such a run would end well with other code than the one at hand.
    """
    here, there = trees.project(root), trees.project(home)
    names = sorted({name for file in files for name in import_closure.imported_names(here, Path(file))})
    found = (file for name in names if (file := there.find(name)) and not here.find(name))
    missing = {file.as_posix(): "imports" for file in found}
    inside = {file: "depends on" for file in _untracked_inside(home, dependencies, files) if not (root / file).exists()}
    for name, how in (missing | inside).items():
        raise ProvenanceError(
            f"stage {stage} {how} {name}, which this run lacks: Git does not track it",
            hint=f"{commit_command(home, [name])}, or move it elsewhere",
        )


def late(root: Path, dependencies: Sequence[str], seen: Collection[str]) -> list[str]:
    """Modules imported by now that `check` would refuse: they make a result unproven."""
    files = imported(root)
    known = tracked(root, files)
    return [
        file
        for file in files
        if file not in known or leads_elsewhere(root, file) or not _watched(root, file, dependencies, seen)
    ]


def _watched(root: Path, file: str, dependencies: Sequence[str], seen: Collection[str]) -> bool:
    return file in seen or _inside(file, dependencies) or import_closure.inert(root, Path(file))


def _untracked_inside(root: Path, dependencies: Sequence[str], sources: Collection[str]) -> list[str]:
    """Files that Git does not track in those of `dependencies` that hold sources; among data may be some."""
    top = trees.top(root.resolve())
    entries = (path for path in map(posixpath.normpath, dependencies) if any(_inside(one, [path]) for one in sources))
    folders = (path for path in entries if (root / path).is_dir())
    present = [path for path in folders if (root / path).resolve().is_relative_to(top)]
    listed = _listed(root, "--others", present) if present else ()
    return sorted(file for file in listed if _BYPRODUCTS.isdisjoint(Path(file).parts))


def _listed(root: Path, kind: str, paths: Iterable[str]) -> set[str]:
    said = git.run(root, "--literal-pathspecs", "ls-files", "-z", kind, "--", *paths)
    return {file for file in said.split("\0") if file}


def leads_elsewhere(root: Path, file: str) -> bool:
    """Whether a symbolic link stands at `file` or above it, and what it leads to is nothing that Git tracks here."""
    real = (root / file).resolve()
    own = Path(os.path.normpath(root.resolve() / file))
    return real != own and not git.run(root, "ls-files", "--", str(real), check=False)


def _out_of_reach(root: Path, file: str) -> ProvenanceError | None:
    """The refusal of a file behind a link or in another repository, where `git add` is no help; else None."""
    what = f"{file} is imported but"
    above = [root.joinpath(*Path(file).parts[:depth]) for depth in range(1, len(Path(file).parts) + 1)]
    link = next((path for path in above if path.is_symlink()), None)
    if link is not None:
        place, target = link.relative_to(root).as_posix(), link.resolve()
        name = shlex.quote(place)
        return ProvenanceError(
            f"{what} {place} is a symbolic link to {target}, which Git does not hold",
            hint=f"rm {name} && cp -r {shlex.quote(str(target))} {name} && git add {name} && git commit -m Track",
        )
    own = trees.top(root.resolve())
    nested = next((path for path in above if (path / ".git").exists() and not own.is_relative_to(path.resolve())), None)
    if nested is not None:
        name = shlex.quote(nested.relative_to(root).as_posix())
        kept = f"git rm --quiet --cached --ignore-unmatch {name} && rm -rf {name}/.git && git add {name}"
        return ProvenanceError(
            f"{what} {name} is a submodule or another repository, whose files no experiment carries",
            hint=f"install it as a package, or make its files this repository's own: {kept} && git commit -m Track",
        )
    return None


def _inside(file: str, dependencies: Sequence[str]) -> bool:
    entries = map(posixpath.normpath, dependencies)
    return any(file == entry or file.startswith(f"{entry}/") for entry in entries)


def _them(files: Sequence[str]) -> str:
    return "it" if len(files) == 1 else "them"
