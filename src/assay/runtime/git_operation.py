"""What Git is in the middle of: a merge, a rebase and the like, during which nobody else should commit."""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import ProvenanceError
from assay.runtime import git

#: file in Git's folder → what is under way, and the command that ends it
_SIGNS = {
    "MERGE_HEAD": ("a merge", "git merge --continue, or git merge --abort"),
    "rebase-merge": ("a rebase", "git rebase --continue, or git rebase --abort"),
    "rebase-apply": ("a rebase or git am", "git rebase --continue, or git rebase --abort"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue, or git cherry-pick --abort"),
    "REVERT_HEAD": ("a revert", "git revert --continue, or git revert --abort"),
    "sequencer": ("a cherry-pick or revert", "git cherry-pick --continue, or git cherry-pick --abort"),
    "BISECT_LOG": ("a bisect", "git bisect reset"),
}


def refuse_under_way(root: Path) -> None:
    """Raise ProvenanceError naming the operation that is under way in the repository at `root`."""
    places = git.run(root, "rev-parse", *(word for sign in _SIGNS for word in ("--git-path", sign))).split("\n")
    for sign, place in zip(_SIGNS, places, strict=True):
        if (root / place).exists():
            what, hint = _SIGNS[sign]
            raise ProvenanceError(f"{what} is under way in this repository", hint=hint)
    if git.run(root, "ls-files", "--unmerged"):
        raise ProvenanceError("files of this repository are unmerged", hint="git status")
