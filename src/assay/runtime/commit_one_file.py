"""Commits made beside the index: one file changed on a branch, whatever else is edited or staged.

Covers: the branch that HEAD stands on, a commit of one file, keeping the index in step. Not covered: what
is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.core.errors import ProvenanceError, UsageError
from assay.runtime import git, git_plumbing


def branch(root: Path) -> str:
    """Full name of the branch that HEAD stands on; ProvenanceError when it is detached."""
    name = git.run(root, "symbolic-ref", "--quiet", "HEAD", check=False)
    if not name:
        raise ProvenanceError("HEAD is detached, a commit here would be lost", hint="git switch main")
    return name


def commit_file(root: Path, ref: str, path: str, content: bytes, message: str) -> str:
    """Commit `content` as `path` (relative to `root`) on top of `ref`; the commit's hash.

    The index follows for that path when it held what HEAD held. Raises UsageError when `ref` moved
    meanwhile, so that nobody's commit is lost.
    """
    old = git.run(root, "rev-parse", "--verify", f"{ref}^{{commit}}")
    full = git.prefix(root) + path
    commit = git_plumbing.commit(root, tree_with(root, old, {full: content}), [old], message)
    was, staged = _entry(root, old, full), git.run(root, "ls-files", "--stage", "--", path)
    advance(root, ref, commit, old, message)
    if staged.split()[1:2] == [was]:
        git.run(root, "update-index", "--cacheinfo", f"100644,{_entry(root, commit, full)},{full}")
    return commit


def tree_with(root: Path, tree: str, files: Mapping[str, bytes]) -> str:
    """`tree` with these files (paths from the repository's top) replaced or added."""
    with git_plumbing.index(root) as scratch:
        scratch.read(tree)
        for path, content in files.items():
            scratch.put(path, content)
        return scratch.write()


def advance(root: Path, ref: str, commit: str, old: str, message: str) -> None:
    """Move `ref` from `old` to `commit`, or refuse because somebody else moved it."""
    try:
        git.run(root, "update-ref", "-m", f"assay: {message.partition(chr(10))[0]}", ref, commit, old)
    except UsageError as error:
        raise UsageError(f"{ref.removeprefix('refs/heads/')} moved meanwhile", hint="run the command again") from error


def _entry(root: Path, commit: str, path: str) -> str:
    """Hash of the blob at `path` in `commit`."""
    return git.run(root, "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False)
