"""Commits made beside the index: one file changed on a branch, whatever else is edited or staged.

Covers: the branch that HEAD stands on, a commit of one file, keeping the index in step. Not covered: what
is committed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from assay.outside import git
from assay.words.errors import ProvenanceError, UsageError


def branch(root: Path) -> str:
    """Full name of the branch that HEAD stands on; ProvenanceError when it is detached."""
    name = git.run(root, "symbolic-ref", "--quiet", "HEAD", check=False)
    if not name:
        raise ProvenanceError("HEAD is detached, a commit here would be lost", mend="git switch main")
    return name


def commit_file(root: Path, ref: str, path: str, content: bytes, message: str) -> str:
    """Commit `content` as `path` (relative to `root`) on top of `ref`; the commit's hash.

    The index follows for that path when it held what HEAD held. Raises UsageError when `ref` moved
    meanwhile, so that nobody's commit is lost.
    """
    old = git.run(root, "rev-parse", "--verify", f"{ref}^{{commit}}")
    blob = _write_blob(root, content)
    full = git.prefix(root) + path
    tree = _tree_with(root, old, full, blob)
    commit = git.run(root, "commit-tree", tree, "-p", old, "-F", "-", stdin=message + "\n")
    was, staged = _entry(root, old, path), git.run(root, "ls-files", "--stage", "--", path)
    advance(root, ref, commit, old, message)
    if staged.split()[1:2] == [was]:
        git.run(root, "update-index", "--cacheinfo", f"100644,{blob},{full}")
    return commit


def advance(root: Path, ref: str, commit: str, old: str, message: str) -> None:
    """Move `ref` from `old` to `commit`, or refuse because somebody else moved it."""
    try:
        git.run(root, "update-ref", "-m", f"assay: {message.splitlines()[0]}", ref, commit, old)
    except UsageError as error:
        raise UsageError(f"{ref.removeprefix('refs/heads/')} moved meanwhile", mend="run the command again") from error


def _entry(root: Path, commit: str, path: str) -> str:
    """Hash of the blob at `path` in `commit`."""
    return git.run(root, "rev-parse", "--verify", "--quiet", f"{commit}:{git.prefix(root)}{path}", check=False)


def _write_blob(root: Path, content: bytes) -> str:
    command = ["git", "-C", str(root), "hash-object", "-w", "--stdin"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout.decode().strip()


def _tree_with(root: Path, commit: str, path: str, blob: str) -> str:
    """The tree of `commit` with one file replaced, built in an index of its own."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        for arguments in (["read-tree", commit], ["update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"]):
            subprocess.run(["git", "-C", str(root), *arguments], env=scratch, capture_output=True, check=True)
        written = subprocess.run(
            ["git", "-C", str(root), "write-tree"], env=scratch, capture_output=True, check=True, text=True
        )
    return written.stdout.strip()
