"""The code that runs is the code that Git and DVC know.

Covers: modules imported from the project that Git does not track or that the stage does not declare, and
files inside a stage's dependencies that Git does not track. Not covered: which sources an import *would*
reach (`outside.closure`).
"""

from __future__ import annotations

import os
import posixpath
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assay.outside import closure, git
from assay.outside.untracked_files import commit_command, named
from assay.words.errors import ProvenanceError

#: made by the interpreter beside the sources; .dvcignore keeps DVC from hashing them, too
_BYPRODUCTS = ("__pycache__",)


class Listing(NamedTuple):
    """Files under src as Git sees them, relative to the project."""

    tracked: frozenset[str]
    others: tuple[str, ...]  # not tracked, ignored ones included


def listing(root: Path) -> Listing:
    """Both lists, for who checks several stages of a tree that stands still."""
    tracked = git.run(root, "ls-files", "-z", "--cached", "--", "src").split("\0")
    others = git.run(root, "ls-files", "-z", "--others", "--", "src").split("\0")
    kept = (file for file in others if file and not set(_BYPRODUCTS) & set(PurePosixPath(file).parts))
    return Listing(frozenset(tracked), tuple(kept))


#: root, and a file below it that a worker process of this one has imported
_met: set[tuple[Path, str]] = set()


def met(root: Path, files: Iterable[str]) -> None:
    """Take note of what `imported` gave in a worker process."""
    _met.update((root, file) for file in files)


def imported(root: Path) -> list[str]:
    """Files under `root`/src that this process and its workers have imported, relative to `root`."""
    named, source = f"{root / 'src'}{os.sep}", str((root / "src").resolve())
    elsewhere = tuple(prefix for prefix in {sys.prefix, sys.base_prefix} if not source.startswith(prefix))
    found = {file for place, file in _met if place == root}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)  # a relative name for some modules of torch
        if not isinstance(file, str) or file.startswith(elsewhere) or not Path(file).is_absolute():
            continue  # resolving the thousand files of torch would take longer than all the rest
        if file.startswith(named):  # where a symbolic link leads is for `check` to say
            found.add(Path(file).relative_to(root).as_posix())
            continue
        real = str(Path(file).resolve())
        if real.startswith(source):
            found.add(Path(real).relative_to(root.resolve()).as_posix())
    return sorted(found)


def check(
    root: Path, stage: str, dependencies: Sequence[str], files: Iterable[str], listed: Listing | None = None
) -> None:
    """Refuse `files` (relative to `root`) that Git does not track or that `stage` does not depend on.

    A stage without dependencies always runs, whatever changed, and needs none.
    Raises ProvenanceError (exit 4) naming the first such file and the line to add.
    """
    known, files = listed or listing(root), list(files)
    missing = [file for file in files if file not in known.tracked or leads_elsewhere(root, file)]
    for file in missing:
        if refusal := _out_of_reach(root, file):
            raise refusal
    if missing:
        text = f"{named(missing)} {'is' if len(missing) == 1 else 'are'} imported but Git does not track"
        raise ProvenanceError(f"{text} {_them(missing)}", mend=commit_command(root, missing))
    for file in files:
        if dependencies and not _inside(file, dependencies) and not closure.inert(root, Path(file)):
            raise ProvenanceError(
                f"stage {stage} imports {file}, which is not among its dependencies",
                mend=f"add the line `- {file}` under stages.{stage}.deps in dvc.yaml",
            )
    if strange := [file for file in known.others if _inside(file, dependencies)]:
        lies = "lies" if len(strange) == 1 else "lie"
        raise ProvenanceError(
            f"{named(strange)} {lies} inside the dependencies of stage {stage} but Git does not track {_them(strange)}",
            mend=f"{commit_command(root, strange)}, or move {_them(strange)} elsewhere",
        )


def check_left_behind(home: Path, root: Path, stage: str, dependencies: Sequence[str], files: Iterable[str]) -> None:
    """Refuse what a `--temp` or `--queue` run at `root` goes without, as Git does not track it in `home`.

    DVC takes tracked files along and nothing else; such a run would end well with other code than the one at hand.
    """
    missing = [file for file in listing(home).others if not (root / file).exists()]
    names = {name for file in files for name in closure.imported_names(root, Path(file))} if missing else set()
    for file in missing:
        wanted = file.endswith(".py") and closure.module_name(Path(file)) in names
        if wanted or _inside(file, dependencies):
            raise ProvenanceError(
                f"stage {stage} {'imports' if wanted else 'depends on'} {file}, which this run lacks: "
                "Git does not track it",
                mend=f"{commit_command(home, [file])}, or move it elsewhere",
            )


def late(root: Path, dependencies: Sequence[str]) -> list[str]:
    """Modules imported by now that `check` would refuse: they make a result unproven."""
    tracked = listing(root).tracked
    return [
        file
        for file in imported(root)
        if file not in tracked
        or leads_elsewhere(root, file)
        or not (_inside(file, dependencies) or closure.inert(root, Path(file)))
    ]


def leads_elsewhere(root: Path, file: str) -> bool:
    """Whether a symbolic link stands at `file` or above it, and what it leads to is nothing that Git tracks here."""
    real = (root / file).resolve()
    return real != root.resolve() / file and not git.run(root, "ls-files", "--", str(real), check=False)


def _out_of_reach(root: Path, file: str) -> ProvenanceError | None:
    """The refusal of a file behind a link or in another repository, where `git add` is no mend; else None."""
    what = f"{file} is imported but"
    above = [
        root.joinpath(*PurePosixPath(file).parts[:depth]) for depth in range(1, len(PurePosixPath(file).parts) + 1)
    ]
    link = next((path for path in above if path.is_symlink()), None)
    if link is not None:
        place, target = link.relative_to(root).as_posix(), link.resolve()
        name = shlex.quote(place)
        return ProvenanceError(
            f"{what} {place} is a symbolic link to {target}, which Git does not hold",
            mend=f"rm {name} && cp -r {shlex.quote(str(target))} {name} && git add {name} && git commit -m Track",
        )
    nested = next((path for path in above if (path / ".git").exists()), None)
    if nested is not None:
        name = shlex.quote(nested.relative_to(root).as_posix())
        kept = f"git rm --quiet --cached --ignore-unmatch {name} && rm -rf {name}/.git && git add {name}"
        return ProvenanceError(
            f"{what} {name} is a submodule or another repository, whose files no experiment carries",
            mend=f"install it as a package, or make its files this repository's own: {kept} && git commit -m Track",
        )
    return None


def _inside(file: str, dependencies: Sequence[str]) -> bool:
    entries = map(posixpath.normpath, dependencies)
    return any(file == entry or file.startswith(f"{entry}/") for entry in entries)


def _them(files: Sequence[str]) -> str:
    return "it" if len(files) == 1 else "them"
