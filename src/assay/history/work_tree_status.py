"""The work tree against Git: what is edited, what is untracked, which experiment it equals.

Covers: the branch as `git status` says it, edits, and a comparison with the few experiments whose numbers are the work
tree's own. Not covered: outputs that DVC keeps (`changes.dvc_lock_diff`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assay.core.paths import METRICS
from assay.history.experiments import Experiment
from assay.runtime import git

#: for the branch alone: without optional locks Git does not refresh its index, looking changes nothing
_STATUS: tuple[str, ...] = (
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "status",
    "--porcelain=v2",
    "--branch",
    "--ahead-behind",
)
_STATUS += ("-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames")


@dataclass(frozen=True)
class WorkTree:
    """`edited` are paths relative to the repository's top folder."""

    head: str
    branch: str  # "" when HEAD is detached
    upstream: str
    ahead: int
    behind: int
    edited: list[str]


def read(root: Path) -> WorkTree:
    """State of HEAD, its upstream, and tracked files that differ from it."""
    lines = git.run(root, *_STATUS).split("\0")
    head = {line.split(" ", 2)[1]: line.split(" ", 2)[2] for line in lines if line.startswith("# branch.")}
    ahead, behind = (abs(int(part)) for part in head.get("branch.ab", "+0 -0").split())
    branch = head.get("branch.head", "")
    return WorkTree(
        head=head.get("branch.oid", ""),
        branch="" if branch == "(detached)" else branch,
        upstream=head.get("branch.upstream", ""),
        ahead=ahead,
        behind=behind,
        edited=git.edited(root, "HEAD"),
    )


def equal_experiment(root: Path, experiments: Iterable[Experiment]) -> Experiment | None:
    """The experiment that the work tree equals, file by file, if there is one."""
    path = root / METRICS
    if not path.is_file():
        return None
    blob = git.run(root, "hash-object", "--", METRICS)  # as `git add` would store it
    alike = (item for item in experiments if item.numbers == blob)
    return next((item for item in alike if not _others(root, item.commit)), None)


def _others(root: Path, commit: str) -> list[str]:
    """Files that are not in the work tree as in `commit`. Git compares what it tracks; the first results of a
    repository are not tracked yet, and so hashed here.
    """
    paths = git.edited(root, commit, ".")
    plain = [path for path in paths if (root / path).is_file() and not (root / path).is_symlink() and "\n" not in path]
    if len(plain) < len(paths) or not paths:
        return paths
    hashes = git.run(root, "hash-object", "--", *plain).split()  # --stdin-paths would read them from the top
    entries = (line.split("\t", 1) for line in git.run(root, "ls-tree", "-r", "-z", commit).split("\0") if line)
    there = {path: entry.split()[2] for entry, path in entries if entry.startswith("100644 ")}
    return [path for path, present in zip(plain, hashes, strict=True) if there.get(path) != present]
