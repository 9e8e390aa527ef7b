"""Git, through its own command line: the one place that starts `git`.

Covers: running a command and turning its failure into a sentence, resolving revisions, reading files
at a revision. Not covered: what experiments and tags mean.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import tempfile
from pathlib import Path

from assay.words.errors import UsageError


def run(root: Path, *args: str, check: bool = True, stdin: str | None = None, index: Path | None = None) -> str:
    """Standard output of `git -C root ARGS`, without the last newline; with `index` in place of the repository's.

    Raises UsageError with Git's own first line when it fails and `check` is set; else returns "".
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            env={**os.environ, "GIT_INDEX_FILE": str(index)} if index else None,
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed or not on PATH", mend="install Git 2.30 or newer") from error
    if done.returncode:
        if check:
            said = (done.stderr.strip() or "no message").splitlines()[0]
            raise UsageError(f"git {args[0]} failed in {root}: {said}")
        return ""
    return done.stdout.removesuffix("\n")


def resolve(root: Path, revision: str) -> str | None:
    """The full commit hash that `revision` names, or None."""
    if not revision or revision.startswith("-"):
        return None
    return run(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", check=False) or None


def edited(root: Path, commit: str, *paths: str) -> list[str]:
    """Tracked files that are not in the work tree as in `commit`: all of the repository's, named from its top, or those
    at `paths`, named from `root`.

    `git diff` notes in the index what it learnt of the files. It gets a copy, since a killed one leaves its lock.
    """
    where = ("--relative", commit, "--", *paths) if paths else (commit,)
    index = root / run(root, "rev-parse", "--git-path", "index")
    with tempfile.TemporaryDirectory() as folder:
        if index.is_file():
            shutil.copy2(index, folder)  # with its time: what was written since may differ
        listed = run(root, "diff", "--name-only", "-z", *where, index=Path(folder, index.name))
    return [path for path in listed.split("\0") if path]


def prefix(root: Path) -> str:
    """Path of `root` inside its Git work tree: "" at the top, else with a trailing slash."""
    return run(root, "rev-parse", "--show-prefix", check=False)


def from_top(root: Path, path: str) -> tuple[str, str]:
    """The top of the work tree, and `path` (relative to `root`) as seen from there: what `dvc get` clones and reads."""
    return run(root, "rev-parse", "--show-toplevel"), prefix(root) + path


def read(root: Path, revision: str, path: str) -> bytes | None:
    """The file at `path` (relative to `root`) as of `revision`, or None if it is not there."""
    name = f"{revision}:{posixpath.normpath(prefix(root) + path)}"
    done = subprocess.run(["git", "-C", str(root), "cat-file", "blob", name], capture_output=True)
    return None if done.returncode else done.stdout
