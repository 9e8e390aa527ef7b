"""A commit of our own files alone, whatever else is edited or staged, as the user's own `git commit` makes it.

His hooks, his signature and his identity take part. Covers: the commit, keeping the index in step, putting everything
back when Git or a hook refuses. Not covered: what is committed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from assay.core.errors import ProvenanceError
from assay.project_setup import file_changes
from assay.project_setup.file_changes import EditedFile
from assay.runtime import git, git_identity, git_plumbing
from assay.runtime.git_plumbing import Index

#: line of the commit's message by which `assay init --remove` finds it
TRAILER = "Assay-Init"
#: the last commit that init made, or would have made without --no-commit
RECORD = "refs/assay/init"
#: what the trailer of a removal says
REMOVED = "removed"


def land(top: Path, changes: Sequence[EditedFile], message: str, *, commit: bool) -> str:
    """Write the changes, and commit them unless told otherwise; the new commit's hash, or "" for none.

    None is made where HEAD stays as it is.

    Raises ProvenanceError, with nothing written, where Git or a hook refuses.
    """
    with git_plumbing.index(top) as index:
        head = git.resolve(top, "HEAD")
        if head:
            index.read(head)
        _put(index, changes)
        tree = index.write()
        file_changes.write(top, changes)
        if head and tree == git.run(top, "rev-parse", f"{head}^{{tree}}"):  # what is taken out was never committed
            git.run(top, "update-ref", "-d", RECORD)
            return ""
        if not commit:
            git.run(top, "update-ref", RECORD, _unborn(top, tree, head, message))
            return ""
        try:
            _commit(top, index, message)
        except BaseException:
            file_changes.restore(top, changes)
            raise
    made = git.run(top, "rev-parse", "HEAD")
    git.run(top, "update-ref", RECORD, made)
    _follow(top, changes, made)
    return made


def _put(index: Index, changes: Sequence[EditedFile]) -> None:
    contents = {change.path: change.after.head for change in changes if change.commits}
    index.put_all({path: content for path, content in contents.items() if content is not None})
    if gone := [path for path, content in contents.items() if content is None]:
        index.run("rm", "-q", "--cached", "--ignore-unmatch", "--", *gone)


def _unborn(top: Path, tree: str, head: str | None, message: str) -> str:
    """A commit that no branch has."""
    names = ("-c", f"user.name={git_identity.NAME}", "-c", f"user.email={git_identity.EMAIL}")
    parents = ["-p", head] if head else []
    return git.run(top, *names, "commit-tree", "-m", message, *parents, tree)


def _commit(top: Path, index: Index, message: str) -> None:
    """`git commit` of what `index` holds. Hooks see that index and the work tree, as in `git commit -- PATHS`."""
    known = all(git.run(top, "config", key, check=False) for key in ("user.name", "user.email"))
    names = [] if known else ["-c", f"user.name={git_identity.NAME}", "-c", f"user.email={git_identity.EMAIL}"]
    command = ["git", "-C", str(top), *names, "commit", "--quiet", "--allow-empty", "-m", message]
    done = subprocess.run(
        command,
        env={**os.environ, "GIT_INDEX_FILE": str(index.path)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip() or "no message").split())
        raise ProvenanceError(
            f"Git refused the commit, so nothing was written: {said}",
            hint="correct what it names, or assay init --no-commit and commit by hand",
        )


def _follow(top: Path, changes: Sequence[EditedFile], made: str) -> None:
    """Bring the index along: what was staged of a file stays staged, with our lines in it."""
    plain = {change.path for change in changes if change.before.index == change.before.head}
    for change in changes:
        if change.path not in plain and change.after.index is not None:
            _stage(top, change.path, change.after.index)
    listed = git.run(top, "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", made, "--", *sorted(plain))
    entries = {path: entry for entry, _, path in (line.partition("\t") for line in listed.split("\0") if line)}
    nothing = f"000000 {'0' * len(made)}"
    lines = "".join(f"{entries.get(path, nothing).replace(' blob ', ' ')}\t{path}\0" for path in sorted(plain))
    git_plumbing.call(
        top, "update-index", "-z", "--index-info", stdin="".join(lines).encode("utf-8", "surrogateescape")
    )


def _stage(top: Path, path: str, content: bytes) -> None:
    mode = git.run(top, "ls-files", "--stage", "--", path).split()[:1] or ["100644"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "content")
        place.write_bytes(content)
        blob = git.run(top, "hash-object", "-w", f"--path={path}", "--", str(place))
    git.run(top, "update-index", "--add", "--cacheinfo", f"{mode[0]},{blob},{path}")


def by_hand(changes: Sequence[EditedFile], message: str, before: str = "") -> str:
    """The command that commits the changes; `before` is a `cd` where it is needed."""
    names = shlex.join(change.path for change in changes)
    subject, _, trailer = message.partition("\n\n")
    words = shlex.join(["-m", subject, "-m", trailer] if trailer else ["-m", subject])
    return f"{before}git add -- {names} && git commit {words} -- {names}"
