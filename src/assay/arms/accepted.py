"""The accepted strategy that `baseline:` names: which commit, and whether it speaks our protocol.

Covers: resolving the name in the real repository (a `--temp` run has neither tags nor branches), refusing
names that can move without DVC seeing it, unpacking the strategy's own files, reading its parameters and
the hash of its training data. Not covered: running it (`stages.baseline`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path

from assay.arms import checkout, own_files
from assay.evidence.events import Accepted as Confirmed
from assay.evidence.events import Event, Remeasured, Seeds, UnverifiableError
from assay.evidence.trailers import parse_event
from assay.outside import files, git, places
from assay.outside.pipeline import Run
from assay.words import records
from assay.words.errors import UsageError
from assay.words.yaml12 import parse
from assay.words.yaml_limits import GENERATED

FLOOR = "floor"
#: what a strategy must bring along to be run again
NEEDED = ("params.yaml", "dvc.lock", "src/stage.py")
#: what runs of an unpacked tree
_OWN = ("params.yaml", "dvc.lock", "src")
#: file in an unpacked tree that holds the hash of all others
_SEAL = ".unpacked"


class Accepted(records.Record, frozen=True, kw_only=True):
    """`context/baseline.json`: the baseline by name and commit; commit is "" for the floor.

    An accepted strategy stands with the replicates that confirmed it, `first` and following under
    `purpose`: those that selected it overstate it, and would make the next honest idea look worse.
    """

    name: str
    commit: str
    purpose: str = "baseline"
    first: int = 0


def resolve(run: Run, name: str, protocol: int) -> Accepted:
    """The baseline that `name` means today. Raises UsageError for a branch, a short hash, an unknown name."""
    if name == FLOOR:
        return Accepted(name=FLOOR, commit="")
    home = run.home
    # The reference itself, not a path from it: strategy/first~1 would resolve as a revision, too.
    tagged = git.run(home, "for-each-ref", "--format=%(refname)", f"refs/tags/{name}", check=False)
    tag = git.resolve(home, tagged) if tagged == f"refs/tags/{name}" else None
    commit = tag or (git.resolve(home, name) if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) else None)
    if commit is None:
        raise _unresolved(home, name)
    for path in NEEDED:
        content = git.read(home, commit, path)
        if content is None:
            raise UsageError(
                f"baseline {name} lacks {path}", allowed="a commit of this pipeline whose results are committed"
            )
        checkout.check_pointer(path, content, name)
    _check_protocol(home, name, commit, protocol)
    seeds = _confirming(home, name, commit) if tag else None
    if seeds is None:
        return Accepted(name=name, commit=commit)
    return Accepted(name=name, commit=commit, purpose=seeds.purpose, first=seeds.candidate)


def _confirming(home: Path, name: str, commit: str) -> Seeds | None:
    """Seeds of the replicates that strategy `name` stands with; None where its tag says nothing to be trusted.

    Those that confirmed it, until it was measured again.
    """
    accepted = _event(home, name, commit)
    if not isinstance(accepted, Confirmed):
        return None
    pattern = f"refs/tags/remeasured/{accepted.name}-*"
    later = git.run(home, "for-each-ref", "--format=%(refname:strip=2)", pattern).split("\n")
    found = [event for tag in later if isinstance(event := _event(home, tag, commit), Remeasured)]
    strategy = git.run(home, "rev-parse", f"refs/tags/{name}")
    newest = max((event for event in found if event.strategy == strategy), key=lambda e: e.sequence, default=None)
    return newest.seeds if newest else accepted.seeds


def _event(home: Path, tag: str, commit: str) -> Event | None:
    message = git.run(home, "cat-file", "tag", f"refs/tags/{tag}", check=False).partition("\n\n")[2]
    try:
        return parse_event(tag, commit, message)
    except UnverifiableError:
        return None


def _unresolved(home: Path, name: str) -> UsageError:
    moving = git.resolve(home, name)
    if moving is not None:
        kind = "is a branch" if git.resolve(home, f"refs/heads/{name}") else "can move or be ambiguous"
        return UsageError(
            f"baseline {name!r} {kind}", allowed="floor, a tag, a full commit hash", mend=f"write baseline: {moving}"
        )
    listed = git.run(home, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags/strategy", check=False)
    tags = [line for line in listed.split("\n") if line]
    shallow = git.run(home, "rev-parse", "--is-shallow-repository", check=False) == "true"
    fetch = "git fetch --unshallow --tags" if shallow else "git fetch --tags"
    return UsageError(
        f"baseline {name!r} is not in this {'shallow clone' if shallow else 'repository'}",
        allowed=", ".join(["floor", *tags]),
        mend=fetch,
    )


def _check_protocol(home: Path, name: str, commit: str, protocol: int) -> None:
    source = (git.read(home, commit, "src/stage.py") or b"").decode("utf-8", "replace")
    declared = re.search(r"^PROTOCOL\s*=\s*(\d+)", source, re.MULTILINE)
    if declared is None or int(declared[1]) != protocol:
        raise UsageError(
            f"baseline {name} speaks protocol {declared[1] if declared else 'none'}",
            allowed=f"protocol {protocol}",
            mend="accept a strategy again under this version, or set baseline: floor",
        )


def unpack(run: Run, commit: str, say: places.Say = places.unsaid) -> Path:
    """The project's files as of `commit`, in our cache: whole, unchanged, or unpacked again.

    `say` is told where the cache does not take them.
    """
    tree = run.store.tree(commit)
    places.hold(tree)
    if not _whole(tree):
        tree = places.place(lambda where: _unpacked(run.home, commit, where), tree, say)
    own_files.link(run, commit, tree, say)
    return tree


def _unpacked(home: Path, commit: str, tree: Path) -> Path:
    """`tree` with the project's files as of `commit`. Raises OSError where it cannot be written."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=tree.parent, prefix=".new."))
    places.hold(scratch)
    try:
        project = checkout.write(home, commit, scratch)
        places.hold(project)  # and what it will be renamed to
        _check_pointers(project, commit)
        files.write_text(project / _SEAL, _contents(project))
        _put(project, tree)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    places.hold(tree)
    if not (tree / _SEAL).is_file():
        raise FileNotFoundError(errno.ENOENT, "removed while it was made", str(tree))
    return tree


def _check_pointers(tree: Path, commit: str) -> None:
    """Refuse pointers in what the strategy's own code is, and reads."""
    checkout.check_pointers(tree, _OWN, commit[:12])
    lock = tree / "dvc.lock"
    read = own_files.training_files(lock.read_bytes()) if lock.is_file() else {}
    checkout.check_pointers(tree, read, commit[:12])


def _put(scratch: Path, tree: Path) -> None:
    """Rename `scratch` to `tree`. A whole tree that another run has put there meanwhile is in use, and stays."""
    try:
        scratch.rename(tree)
    except OSError:
        if _whole(tree):
            return
        shutil.rmtree(tree, ignore_errors=True)
        scratch.rename(tree)


def _whole(tree: Path) -> bool:
    """Whether the files are those that were unpacked. Users' tools, and users, empty caches and edit files."""
    try:
        return (tree / _SEAL).read_text(encoding="utf-8") == _contents(tree)
    except (OSError, UnicodeDecodeError):
        return False


def _contents(tree: Path) -> str:
    """Hash over names and contents of the tree's files, less the seal and what the interpreter adds."""
    found = []
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if name.name == _SEAL or "__pycache__" in name.parts:
            continue
        if path.is_symlink():  # an absolute one leads to what Git does not keep (`arms.own_files`)
            if path.readlink().is_absolute():
                continue
            found.append(f"{files.digest(os.fsencode(path.readlink()))} {name.as_posix()}@\n")
        elif path.is_file():
            found.append(f"{files.digest(path.read_bytes())} {name.as_posix()}\n")
    return files.digest("".join(found).encode("utf-8", "surrogateescape"))


def task(tree: Path, name: str) -> str:
    """The task of the accepted strategy. All else in its params.yaml is for its own code to read."""
    section = parse(files.read_bytes(tree / "params.yaml"), f"params.yaml of {name}").get("task")
    found = section.get("name") if isinstance(section, dict) else None
    if not isinstance(found, str):
        raise UsageError(f"params.yaml of baseline {name} has no task.name", mend="set another baseline:")
    return found


def locked(content: bytes, path: str) -> str | None:
    """DVC's hash of the output `path` in a dvc.lock, or None."""
    for stage in (parse(content, "dvc.lock", GENERATED).get("stages") or {}).values():
        for out in stage.get("outs") or []:
            if out.get("path") == path:
                return str(out.get("md5"))
    return None
