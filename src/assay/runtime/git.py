"""Git, through its own command line: the one place that starts `git`.

Covers: running a command and turning its failure into a sentence, resolving revisions, reading files
at a revision. Not covered: what experiments and tags mean.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from assay.core.errors import UsageError

#: a question about edits looks at every file, whatever a user's configuration says, and writes into no index of his
_SETTINGS: tuple[str, ...] = (
    "core.fsmonitor=false",
    "core.ignoreStat=false",
    "core.checkStat=default",
    "core.trustctime=true",
)
_SETTINGS += ("core.splitIndex=false", "diff.autoRefreshIndex=true")
_OPTIONS = tuple(word for setting in _SETTINGS for word in ("-c", setting))
_LOOK = ("--no-optional-locks", "--literal-pathspecs", *_OPTIONS)
#: both ends of a renaming, in no order of the user's
NAMES = ("-z", "--name-only", "--no-renames", "--no-ext-diff", "-O/dev/null")

#: for an index beside the user's: it is written whole, tells no hook of his, and keeps a file's mode as the tree has it
BESIDE = (
    *("-c", "core.fileMode=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.safecrlf=false"),
    *("-c", "core.sparseCheckout=false"),
    *("-c", "core.splitIndex=false"),
)


def run(
    root: Path,
    *args: str,
    check: bool = True,
    stdin: str | None = None,
    index: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Standard output of `git -C root ARGS`, without the last newline; with `index` in place of the repository's.

    In a repository that we made, `environment` is `git_environment.of_our_own()`.

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
            env={**(environment or os.environ), **({"GIT_INDEX_FILE": str(index)} if index else {})},
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed or not on PATH", hint="install Git 2.30 or newer") from error
    if done.returncode:
        if check:
            said = (done.stderr.strip() or "no message").split("\n")[0]
            raise UsageError(f"git {_command(args)} failed in {root}: {said}", hint=_advice(done.stderr))
        return ""
    return done.stdout.removesuffix("\n")


def _command(args: Sequence[str]) -> str:
    """Git's command among its own options."""
    return next(arg for arg in args if not arg.startswith("-") and "=" not in arg)


def _advice(said: str) -> str:
    """The command that Git advises for a repository of somebody else."""
    found = re.search(r"^\s*(git config --global --add safe\.directory .+)$", said, re.MULTILINE)
    return f"if you trust its owner: {found[1]}" if found else ""


def inside(root: Path) -> bool:
    """Whether `root` lies in a repository. Raises UsageError with Git's reason for one that Git does not open."""
    if run(root, "rev-parse", "--git-dir", check=False):
        return True
    if any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        run(root, "rev-parse", "--git-dir")
    return False


def resolve(root: Path, revision: str) -> str | None:
    """The full commit hash that `revision` names, or None."""
    if not revision or revision.startswith("-"):
        return None
    return run(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", check=False) or None


def edited(root: Path, commit: str, *paths: str, staged: bool = False) -> list[str]:
    """Tracked files that are not in the work tree as in `commit`: all of the repository's, named from its top, or those
    at `paths`, named from `root`. With `staged` those that are not so in the index. An edit of a tracked file inside a
    submodule counts as one of the submodule.

    Git notes in an index what it learnt of the files. It gets a copy, since a killed one leaves its lock, and the flags
    that tell Git not to look at a file are taken off there.
    """
    what = [*NAMES, "--ignore-submodules=untracked", *(["--cached"] if staged else [])]
    where = ["--relative", commit, "--", *paths] if paths else ["--no-relative", commit, "--"]
    index = root / run(root, "rev-parse", "--git-path", "index")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, index.name)
        if index.is_file():
            shutil.copy2(index, copy)  # with its time: what was written since may differ
        if flagged := "\0".join(hidden(root)):
            for option in ("--no-assume-unchanged", "--no-skip-worktree"):
                run(top(root), *_LOOK, "update-index", option, "-z", "--stdin", stdin=flagged, index=copy)
        listed = run(root, *_LOOK, "diff", *what, *where, index=copy)
    return [path for path in listed.split("\0") if path]


def hidden(root: Path) -> list[str]:
    """Tracked files that are there and that Git was told not to look at (`git update-index --assume-unchanged` or
    `--skip-worktree`), named from the top. Those that a sparse checkout leaves out are not there.
    """
    above = top(root)
    lines = run(above, "ls-files", "-v", "-z").split("\0")
    flagged = [line[2:] for line in lines if line[:1].islower() or line[:1] == "S"]
    return [path for path in flagged if os.path.lexists(above / path)]


def top(root: Path) -> Path:
    """The work tree's top folder."""
    return Path(run(root, "rev-parse", "--show-toplevel"))


def prefix(root: Path) -> str:
    """Path of `root` inside its Git work tree: "" at the top, else with a trailing slash."""
    return run(root, "rev-parse", "--show-prefix", check=False)


def from_top(root: Path, path: str) -> tuple[str, str]:
    """The top of the work tree, and `path` (relative to `root`) as seen from there: what `dvc get` clones and reads."""
    return str(top(root)), prefix(root) + path


def read(root: Path, revision: str, path: str) -> bytes | None:
    """The file at `path` (relative to `root`) as a checkout of `revision` writes it, or None if it is not there.

    Raises UsageError where it is there and its filter (Git LFS, git-crypt) fails.
    """
    full = posixpath.normpath(prefix(root) + path)
    if run(root, "cat-file", "-t", f"{revision}:{full}", check=False) != "blob":
        return None
    if _has_other_attributes(root, revision):
        return _checked_out(root, revision, full)
    command = ["git", "-C", str(root), "cat-file", "--filters", f"{revision}:{full}"]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise _unreadable(full, revision, done.stderr)
    return done.stdout


@lru_cache(maxsize=256)
def is_filtered(root: Path, path: str) -> bool:
    """Whether a filter stands between the file at `path` (relative to `root`) and its blob."""
    said = run(root, "check-attr", "-z", "filter", "--", path, check=False).split("\0")
    return said[2:3] not in ([], ["unspecified"], ["unset"])


@lru_cache(maxsize=64)
def _has_other_attributes(root: Path, revision: str) -> bool:
    """Whether `revision` says otherwise than the work tree which files a filter takes: `cat-file` asks the latter."""
    attributes = ("--", ":(top,glob)**/.gitattributes")
    return bool(run(root, "diff-index", "--name-only", "--ignore-submodules=all", revision, *attributes, check=False))


def _checked_out(root: Path, revision: str, full: str) -> bytes:
    """The file `full`, named from the top, written by a checkout of `revision` into an empty work tree."""
    with tempfile.TemporaryDirectory() as folder:
        places = {
            "GIT_DIR": run(root, "rev-parse", "--absolute-git-dir"),
            "GIT_INDEX_FILE": str(Path(folder, "index")),
            "GIT_WORK_TREE": folder,
        }
        for command in (["read-tree", revision], ["checkout-index", "--quiet", "--", full]):
            line = ["git", "-C", folder, *BESIDE, *command]
            done = subprocess.run(line, env=os.environ | places, capture_output=True)
            if done.returncode:
                raise _unreadable(full, revision, done.stderr)
        return Path(folder, full).read_bytes()


def _unreadable(path: str, revision: str, said: bytes) -> UsageError:
    first = (said.decode(errors="replace").strip() or "no message").split("\n")[0]
    return UsageError(
        f"{path} at {revision[:40]} cannot be read: {first}", hint=f"git check-attr --all {shlex.quote(path)}"
    )
