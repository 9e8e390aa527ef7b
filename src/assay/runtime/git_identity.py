"""A Git identity for the repository where the user has none: DVC's second experiment fails without one."""

from __future__ import annotations

from pathlib import Path

from assay.runtime import git

NAME, EMAIL = "Assay", "assay@localhost"


def ensure(root: Path) -> bool:
    """Set a repository-local identity if Git knows none at all; whether it did."""
    if git.run(root, "config", "user.email", check=False) and git.run(root, "config", "user.name", check=False):
        return False
    git.run(root, "config", "--local", "user.name", NAME)
    git.run(root, "config", "--local", "user.email", EMAIL)
    return True
