"""A ref whose commits hold small files that are only ever added: what two repositories know is joined by union.

Covers: reading all files in one process, adding some by compare-and-swap in another, joining what was fetched. Not
covered: what the files say (`history.look_ledger`, `history.rescored_metrics`,
`history.experiment_notes`). A name that two sides gave different
contents keeps ours: who needs both puts the content into the name.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import git
from assay.runtime.git_objects import Object, Objects, reading

#: the ledger (`history.look_ledger`); named here for whoever only asks whether it can be written
LOOKS = "refs/assay/looks"
#: what was learned from experiments (`history.experiment_notes`)
NOTES = "refs/assay/notes"
#: folder of what was fetched from remotes: REMOTES/NAME/looks
REMOTES = "refs/assay/remotes"
#: the writer of these commits: a shared ledger says what was looked at, and not who sat there
_WRITER = "Assay <assay@localhost>"
#: attempts at adding while nobody else does; whoever loses a race tries again without end
_ATTEMPTS = 5
#: bytes that a trial writes: more than a few looks take
_TRIAL = 65_536


@dataclass(frozen=True)
class Grown:
    """All files of a ref. `tip`: its commit, "" where there is none. `blob`: what else it points at."""

    tip: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    blob: bytes | None = None


def read(root: Path, *refs: str) -> list[Grown]:
    """The files of each ref; none for a ref that is not there."""
    with reading(root) as objects:
        return [_read(objects, found) for found in objects.read(refs)]


def _read(objects: Objects, found: Object | None) -> Grown:
    if found is None:
        return Grown()
    if found.kind != "commit":
        return Grown(found.name, blob=found.content)
    names = list(_blobs(objects, found.content.split(b"\n", 1)[0].split()[1].decode()))
    contents = objects.read([blob for _, blob in names])
    return Grown(found.name, {path: one.content for (path, _), one in zip(names, contents, strict=True) if one})


def _blobs(objects: Objects, tree: str, above: str = "") -> Iterator[tuple[str, str]]:
    """Path and hash of every file in `tree`."""
    folders = []
    for mode, name, inner in _entries(objects.read([tree])[0]):
        if mode == b"40000":
            folders.append((f"{above}{name}/", inner))
        else:
            yield above + name, inner
    for path, inner in folders:
        yield from _blobs(objects, inner, path)


def _entries(tree: Object | None) -> Iterator[tuple[bytes, str, str]]:
    """Mode, name and hash of each entry of a tree as Git keeps it: `MODE NAME`, a zero, the hash in bytes."""
    content, at = (tree.content, 0) if tree else (b"", 0)
    size = len(tree.name) // 2 if tree else 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        yield mode, name.decode("utf-8", "surrogateescape"), content[end + 1 : end + 1 + size].hex()
        at = end + 1 + size


def grow(
    root: Path, ref: str, more: Callable[[Grown], Mapping[str, bytes]], parents: Sequence[str] = ()
) -> Mapping[str, bytes]:
    """Add what `more` makes of the files that are there, and record `parents` as joined; what is there then.

    Where somebody else adds meanwhile `more` is asked again. Raises UsageError with Git's reason where nothing can be
    written.
    """
    failures = 0
    while True:
        (now,) = read(root, ref)
        new = {path: content for path, content in more(now).items() if now.files.get(path) != content}
        if not new and not parents:
            return now.files
        said = _add(root, ref, "" if now.blob is not None else now.tip, new, parents, now)
        if not said:
            return {**now.files, **new}
        if git.run(root, "rev-parse", "--verify", "--quiet", ref, check=False) == now.tip:
            failures += 1
            if failures == _ATTEMPTS:
                raise UsageError(f"{ref} cannot be written: {said}", hint="free some space or make .git writable")
        time.sleep(random.uniform(0.001, 0.02))


def check_writable(root: Path, ref: str) -> None:
    """Raises UsageError where `grow` could not write: it is tried, and nothing is left of the trial."""
    folder = Path(git.run(root, "rev-parse", "--path-format=absolute", "--git-path", "objects"))
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"\0" * _TRIAL)
    except OSError as error:
        hint = "free some space or make it writable, then run again"
        raise UsageError(f"{folder} cannot be written ({error.strerror}), and so no look", hint=hint) from error
    commands = f"start\nupdate {ref} HEAD\nprepare\nabort\n"
    try:
        git.run(root, "update-ref", "--stdin", stdin=commands)
    except UsageError as error:
        raise UsageError(f"no look can be recorded in {ref}: {error.problem}", hint="let Git write it") from error


def _add(root: Path, ref: str, tip: str, files: Mapping[str, bytes], parents: Sequence[str], now: Grown) -> str:
    """One commit more, unless `ref` moved meanwhile; "" where it was made, else what Git said."""
    command = ["git", "-C", str(root), "-c", "fastimport.unpackLimit=100", "fast-import"]
    forced = ["--force"] if now.blob is not None else []  # what is no commit yet has no descendants
    with subprocess.Popen(
        [*command, "--quiet", "--done", "--date-format=raw", *forced],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a signal to our group must not cut it in two
    ) as process:
        _, said = process.communicate(b"".join(_stream(ref, tip, files, parents)))
    if not process.returncode:
        return ""
    with suppress(OSError):
        (root / git.run(root, "rev-parse", "--git-path", f"fast_import_crash_{process.pid}")).unlink()
    lines = [line for line in said.decode("utf-8", "replace").split("\n") if line.strip()]
    return (lines or ["no message"])[0].strip()


def _stream(ref: str, tip: str, files: Mapping[str, bytes], parents: Sequence[str]) -> Iterator[bytes]:
    yield f"commit {ref}\ncommitter {_WRITER} {int(time.time())} +0000\ndata 4\nmore".encode()
    for word, commit in zip(["from", *["merge"] * len(parents)], [tip, *parents] if tip else parents, strict=False):
        yield f"\n{word} {commit}".encode()
    for path, content in files.items():
        yield f"\nM 100644 inline {path}\ndata {len(content)}\n".encode() + content
    yield b"\ndone\n"
