"""The tree that an acceptance would tag: the experiment's own, or the merge of it with what came since.

Covers: what is regenerated and therefore never merged (dvc.lock, results, plots), conflicts in one
sentence. Not covered: regenerating (`scratch.scratch_repo`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import LOCK, PLOTS, RESULTS
from assay.runtime import git, git_plumbing

#: written by a run: a merge of two such files would describe a run that never was
REGENERATED = (LOCK, RESULTS, PLOTS)


@dataclass(frozen=True)
class Merge:
    tree: str
    parents: tuple[str, ...]  # of the commit to make
    merged: bool  # False where the experiment stands on HEAD and its tree is taken as it is


def merge(root: Path, head: str, commit: str, *, experiment: bool) -> Merge:
    """The tree of `commit` brought onto `head`. An experiment becomes no parent: its own commit is DVC's.

    Raises UsageError naming the files that conflict, or saying that there is nothing to bring.
    """
    base = git.run(root, "merge-base", head, commit, check=False)
    if not base:
        raise UsageError(f"{commit[:12]} and HEAD have no common history", hint="git fetch --unshallow")
    if base == commit and commit != head and not experiment:
        raise UsageError(f"{commit[:12]} is already part of HEAD", allowed="an experiment, or a branch ahead of HEAD")
    parents = (head,) if experiment or commit == head else (head, commit)
    if base == head:
        return Merge(git.run(root, "rev-parse", f"{commit}^{{tree}}"), parents, merged=False)
    return Merge(_merged(root, head, commit, base), parents, merged=True)


def _merged(root: Path, head: str, commit: str, base: str) -> str:
    """The merge of both trees; of what is regenerated, the one of `head`."""
    prefix = git.prefix(root)
    with git_plumbing.index(root) as scratch:
        scratch.read(commit)
        scratch.copy(head, [prefix + path for path in REGENERATED])
        theirs = git_plumbing.commit(root, scratch.write(), [base], "theirs")
    tree, conflicts = git_plumbing.merge_tree(root, head, theirs)
    if conflicts:
        raise UsageError(
            f"{commit[:12]} conflicts with HEAD in {', '.join(conflicts)}",
            hint="git rebase the branch, or run the experiment again on HEAD with `dvc exp run`",
        )
    return tree
