"""Where the project stands: the folder with dvc.yaml, inside a Git repository that has a commit."""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import PIPELINE, ProjectPaths
from assay.runtime import git


def find(start: Path) -> ProjectPaths:
    """The project that `start` lies in. Raises UsageError outside of one, or before its first commit."""
    here = start.resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / PIPELINE).is_file()), None)
    if root is None:
        raise UsageError(f"no dvc.yaml in {here} or above it", mend="change to the project's folder")
    if not git.inside(root):
        raise UsageError(f"{root} is in no Git repository", mend="git init && git add . && git commit -m Start")
    if git.resolve(root, "HEAD") is None:
        raise UsageError(f"{root} has no commit yet", mend="git add . && git commit -m Start")
    return ProjectPaths(root)
