"""Git below its porcelain: trees and commits made beside the index, refs moved together.

Covers: an index of one's own, files stored as `git add` would (filters and line ends), trees, commits, a transaction
over several refs. Not covered: what is committed, and when (`acceptance.acceptance_transaction`).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import git


class Index:
    """An index beside the repository's own. Make one with `index`."""

    def __init__(self, root: Path, path: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.path = path
        self._environment = {**environment, "GIT_INDEX_FILE": str(path)}

    def run(self, *arguments: str, stdin: bytes = b"", **more: str) -> str:
        return call(self.root, *arguments, stdin=stdin, environment=self._environment | more, options=git.BESIDE)

    def read(self, tree: str) -> None:
        self.run("read-tree", "--no-recurse-submodules", tree)

    def drop(self, paths: Sequence[str]) -> None:
        """Without these files, named from the repository's top."""
        if paths:
            given = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
            self.run("update-index", "-z", "--force-remove", "--stdin", stdin=given)

    def put(self, path: str, content: bytes) -> None:
        """`content` as the file `path`, relative to the repository's top."""
        self.put_all({path: content})

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Files by their paths, relative to the repository's top.

        They are added from a work tree that holds nothing else: attributes are those of the tree in this index,
        whatever the user's work tree holds.
        """
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                place = Path(folder, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            own = call(self.root, "rev-parse", "--absolute-git-dir")
            listed = "".join(f"{path}\0" for path in files).encode("utf-8", "surrogateescape")
            places = {"GIT_DIR": own, "GIT_WORK_TREE": folder}
            self.run("update-index", "--add", "-z", "--stdin", stdin=listed, **places)

    def add(self, paths: Sequence[str]) -> None:
        """Files of the work tree, as it has them; `paths` are relative to `root`."""
        listed = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        self.run("update-index", "--add", "-z", "--stdin", stdin=listed)

    def record(self, paths: Sequence[str]) -> None:
        """As `add`; a path where the work tree has no file any more is no entry any more."""
        listed = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        self.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=listed)

    def copy(self, tree: str, paths: Sequence[str]) -> None:
        """Entries under `paths` as in `tree`, whatever stands there now."""
        for path in paths:
            self.run("rm", "-r", "-q", "-f", "--cached", "--ignore-unmatch", "--", path)
            listed = self.run("ls-tree", "-r", "--full-tree", tree, "--", path)
            self.run("update-index", "--index-info", stdin=f"{listed}\n".encode() if listed else b"")

    def write(self) -> str:
        """The tree that this index holds."""
        return self.run("write-tree")


@contextmanager
def index(root: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Index]:
    """An empty index; `environment` is another one in a repository that we made."""
    with tempfile.TemporaryDirectory() as folder:
        yield Index(root, Path(folder) / "index", environment)


def call(
    root: Path,
    *arguments: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> str:
    """Standard output of a Git command that takes bytes. Raises UsageError with Git's first line.

    `options` stand before the command's name.

    It runs in a session of its own, so that a signal to our process group cannot cut it in two.
    """
    done = subprocess.run(
        ["git", "-C", str(root), *options, *arguments],
        input=stdin,
        env=environment,
        capture_output=True,
        start_new_session=True,
    )
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip() or "no message").split("\n")[0]
        raise UsageError(f"git {arguments[0]} failed in {root}: {said}")
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def commit(root: Path, tree: str, parents: Sequence[str], message: str, when: str = "") -> str:
    """A commit that no ref knows yet; its hash. `when` is its date as Git writes it raw; default: now."""
    above = [word for parent in parents for word in ("-p", parent)]
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
    text = (message.rstrip("\n") + "\n").encode()
    return call(root, "commit-tree", tree, *above, "-F", "-", stdin=text, environment={**os.environ, **dates})


def tag_object(root: Path, name: str, target: str, message: str) -> str:
    """An annotated tag that no ref knows yet; its hash."""
    who = call(root, "var", "GIT_COMMITTER_IDENT")
    header = f"object {target}\ntype commit\ntag {name}\ntagger {who}\n\n"
    return call(root, "mktag", stdin=(header + message).encode("utf-8", "surrogateescape"))


def merge_tree(root: Path, ours: str, theirs: str) -> tuple[str, list[str]]:
    """The tree of the merge of two commits, and the files that conflict: without any the tree holds both.

    Raises UsageError where Git is too old for it.
    """
    command = ["git", "-C", str(root), "merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape")
    tree, *conflicts = done.stdout.removesuffix("\n").split("\n")
    if done.returncode == 0:
        return tree, []
    if done.returncode == 1:
        return tree, sorted(set(conflicts)) or ["files that Git does not name"]
    said = (done.stderr.strip() or "no message").split("\n")[0]
    raise UsageError(f"git merge-tree failed: {said}", hint="install Git 2.38 or newer")


def move(root: Path, reason: str, moves: Sequence[tuple[str, str, str]], end: str = "commit") -> None:
    """Move refs together: (ref, new, old) each, old "" for a ref that must not exist. All or none.

    With `end` "abort" Git locks them, asks the hook, and lets them go. Raises UsageError when one of them is not where
    `old` says, or cannot be written, or a hook refuses.
    """
    lines = [f"update {ref} {new} {old or '0' * len(new)}" for ref, new, old in moves]
    content = "\n".join(["start", *lines, "prepare", end, ""])
    call(root, "update-ref", "-m", reason, "--stdin", stdin=content.encode())
