"""The work tree as Git would commit it, as a tree: HEAD with the edits of tracked files that are no results.

Nothing of the user's is written but objects that no ref knows. Covers: what `dvc exp run` would take along. Not
covered: files that Git does not track (`runtime.tracked_code_check`).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path

from assay.core.paths import LOCK, PIPELINE, ProjectPaths
from assay.core.yaml12 import parse
from assay.core.yaml_limits import GENERATED
from assay.runtime import dvc_yaml, files, git, git_plumbing


@dataclass(frozen=True)
class Snapshot:
    """`tree` holds `edited`, paths from the repository's top, as the work tree has them, and all else as HEAD."""

    tree: str
    edited: list[str]


def take(layout: ProjectPaths) -> Snapshot:
    """The work tree of the project at `layout`. What its stages write is left as in HEAD: runs write it anew."""
    root = layout.root
    written = results(layout)
    edited = [path for path in git.edited(root, "HEAD") if not dvc_yaml.within(path, written)]
    if not edited:
        return Snapshot(git.run(root, "rev-parse", "HEAD^{tree}"), [])
    with git_plumbing.index(git.top(root)) as index:
        index.read("HEAD")
        index.record(edited)
        return Snapshot(index.write(), edited)


def results(layout: ProjectPaths) -> set[str]:
    """dvc.lock and what stages write, from the repository's top."""
    stages = parse(files.read_bytes(layout.pipeline), PIPELINE, GENERATED).get("stages")
    entries = [entry for entry in (stages or {}).values() if isinstance(entry, dict)]
    kinds = ("outs", "metrics", "plots")
    paths = [path for entry in entries for kind in kinds for path in dvc_yaml.paths(entry.get(kind))]
    prefix = git.prefix(layout.root)
    return {str(Path(posixpath.normpath(prefix + path))) for path in [LOCK, *paths]}
