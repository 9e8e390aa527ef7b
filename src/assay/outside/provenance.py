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
    known = listed or listing(root)
    for file in files:
        if file not in known.tracked or leads_elsewhere(root, file):
            raise untracked(root, file, f"{file} is imported but")
        if dependencies and not _inside(file, dependencies) and not closure.inert(root, Path(file)):
            raise ProvenanceError(
                f"stage {stage} imports {file}, which is not among its dependencies",
                mend=f"add the line `- {file}` under stages.{stage}.deps in dvc.yaml",
            )
    for file in known.others:
        if _inside(file, dependencies):
            raise ProvenanceError(
                f"{file} lies inside the dependencies of stage {stage} but Git does not track it",
                mend=f"{_add(root, file)}, or move it elsewhere",
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
                mend=f"{_add(home, file)}, or move it elsewhere",
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


def untracked(root: Path, file: str, what: str) -> ProvenanceError:
    """The refusal of code that Git does not hold; `what` begins the sentence. The mend is one that Git takes."""
    above = [
        root.joinpath(*PurePosixPath(file).parts[:depth]) for depth in range(1, len(PurePosixPath(file).parts) + 1)
    ]
    link = next((path for path in above if path.is_symlink()), None)
    if link is not None:
        name, target = link.relative_to(root).as_posix(), link.resolve()
        return ProvenanceError(
            f"{what} {name} is a symbolic link to {target}, which Git does not hold",
            mend=f"rm {_quoted(name)} && cp -r {_quoted(str(target))} {_quoted(name)} && git add {_quoted(name)}",
        )
    nested = next((path for path in above if (path / ".git").exists()), None)
    if nested is not None:
        name = _quoted(nested.relative_to(root).as_posix())
        return ProvenanceError(
            f"{what} {name} is a submodule or another repository, whose files no experiment carries",
            mend=f"install it as a package, or make its files this repository's own: "
            f"git rm --quiet --cached --ignore-unmatch {name} && rm -rf {name}/.git && git add {name}",
        )
    return ProvenanceError(f"{what} Git does not track it", mend=_add(root, file))


def _add(root: Path, file: str) -> str:
    """`git add`, which refuses what is ignored unless it is told to."""
    ignored = git.run(root, "check-ignore", "--", file, check=False)
    return f"git add {'--force ' if ignored else ''}{_quoted(file)}"


def _inside(file: str, dependencies: Sequence[str]) -> bool:
    entries = map(posixpath.normpath, dependencies)
    return any(file == entry or file.startswith(f"{entry}/") for entry in entries)


def _quoted(file: str) -> str:
    return shlex.quote(file)
