"""Where the project stands: the folder with dvc.yaml, inside a Git repository that has a commit."""

from __future__ import annotations

import shlex
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import PIPELINE, ProjectPaths
from assay.runtime import git

#: begins the command of each of our stages in dvc.yaml
_STARTS = b"assay stage "


def find(start: Path) -> ProjectPaths:
    """The project that `start` lies in, or that has a folder of its own in the same repository.

    Raises UsageError outside of one, or before its first commit.
    """
    here = start.resolve()
    above = [folder for folder in (here, *here.parents) if (folder / PIPELINE).is_file()]
    root = next(filter(runs_stages, above), None) or _apart(here) or next(iter(above), None)
    if root is None:
        raise UsageError(f"no dvc.yaml in {here} or above it", hint="change to the project's folder, or assay init")
    if not git.inside(root):
        raise UsageError(f"{root} is in no Git repository", hint="git init && git add . && git commit -m Start")
    if git.resolve(root, "HEAD") is None:
        raise UsageError(f"{root} has no commit yet", hint="git add . && git commit -m Start")
    return ProjectPaths(root)


def runs_stages(folder: Path) -> bool:
    """Whether dvc.yaml in `folder` starts stages of Assay."""
    return _STARTS in (folder / PIPELINE).read_bytes()


def below(folder: Path) -> list[Path]:
    """Folders below `folder` whose dvc.yaml starts stages of Assay: `assay init --in` made them."""
    listed = git.run(
        folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*/dvc.yaml", check=False
    )
    places = sorted({(folder / name).parent for name in listed.split("\0") if name})
    return [place for place in places if (place / PIPELINE).is_file() and runs_stages(place)]


def _apart(here: Path) -> Path | None:
    """The one project in the repository around `here` that has a folder of its own; None where there is none."""
    said = git.run(here, "rev-parse", "--show-toplevel", check=False)
    found = below(Path(said).resolve()) if said else []
    if len(found) > 1:
        raise UsageError(
            f"{here} is in none of the projects of this repository",
            allowed=", ".join(place.relative_to(Path(said).resolve()).as_posix() for place in found),
            hint=f"cd {shlex.quote(str(found[0]))}",
        )
    return found[0] if found else None
