"""Many refs and many objects of one repository, read with one process each.

Covers: `git for-each-ref` and `git cat-file --batch`: thousands of experiments in tens of milliseconds,
where a process an object needs seconds. Not covered: what the refs mean (`history.experiments`). It stands
here and not in `runtime.git`, because only one stage needs it, and all depend on that.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from assay.core.errors import UsageError
from assay.runtime import git

#: bytes of requests written before their answers are read; less than any pipe holds, so that neither side waits
REQUESTS = 32_000


class Ref(NamedTuple):
    name: str  # refs/tags/strategy/adam
    object: str  # hash of what it points at
    kind: str  # commit, tag, tree, blob
    peeled: str  # hash of what a tag object points at, else the object itself


class Object(NamedTuple):
    name: str  # its hash
    kind: str
    content: bytes


def refs(root: Path, *patterns: str) -> list[Ref]:
    """All refs under `patterns` (as `git for-each-ref` takes them), in Git's order."""
    form = "%(objectname) %(objecttype) %(*objectname) %(refname)"
    done = subprocess.run(["git", "-C", str(root), "for-each-ref", f"--format={form}", *patterns], capture_output=True)
    if done.returncode:
        raise UsageError(f"git for-each-ref failed in {root}: {done.stderr.decode(errors='replace').strip()}")
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")  # a name may hold every other line end
    found = (line.split(" ", 3) for line in lines if line)
    return [Ref(name, sha, kind, peeled or sha) for sha, kind, peeled, name in found]


class Objects:
    """A running `git cat-file --batch`. Make one with `reading`."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes]) -> None:
        self._root = root
        self._process = process

    def read(self, names: Sequence[str]) -> list[Object | None]:
        """One object a name (`HASH`, `HASH:path`), None where there is none."""
        found: list[Object | None] = []
        for chunk in _chunks([self._on_one_line(name) for name in names]):
            stdin, stdout = _pipes(self._process)
            stdin.write(chunk)
            stdin.flush()
            found += [_answer(stdout) for _ in range(chunk.count(b"\n"))]
        return found

    def _on_one_line(self, name: str) -> str:
        """`name`, or the hash of what it names where a folder is called with a newline: answers are one a line."""
        if "\n" not in name:
            return name
        return git.run(self._root, "rev-parse", "--verify", "--quiet", name, check=False) or "0"


@contextmanager
def reading(root: Path) -> Iterator[Objects]:
    """Objects of the repository at `root`, for the length of the block."""
    command = ["git", "-C", str(root), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield Objects(root, process)
        finally:
            stdin, _ = _pipes(process)
            stdin.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _chunks(names: Sequence[str]) -> Iterator[bytes]:
    chunk = b""
    for name in names:
        line = name.encode("utf-8", "surrogateescape") + b"\n"
        if chunk and len(chunk) + len(line) > REQUESTS:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk


def _answer(stdout: IO[bytes]) -> Object | None:
    """The next answer: `HASH TYPE SIZE`, the content, a newline; or `NAME missing`."""
    header = stdout.readline()
    if not header:
        raise UsageError("git cat-file stopped in the middle", hint="check the repository with `git fsck`")
    words = header.split()
    if len(words) != 3 or not words[2].isdigit():
        return None
    content = stdout.read(int(words[2]))
    stdout.read(1)
    return Object(words[0].decode(), words[1].decode(), content)
