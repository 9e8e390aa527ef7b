"""The accepted strategy that `baseline:` names: which commit, and whether today's library runs it as it was accepted.

Covers: resolving the name in the real repository (a `--temp` run has neither tags nor branches), refusing names that
can move without DVC seeing it and parameters that mean something else today, unpacking the strategy's own files, the
hash of its training data. Not covered: running it (`stages.baseline`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET, UnsetType

from assay.baseline import untracked_training_inputs
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.paths import LOCK, PARAMS
from assay.runtime import cache_dirs, dvc_yaml, files, git, git_checkout
from assay.runtime.dvc_yaml import Run
from assay.runtime.source_roots import SEAL
from assay.tags.strategy_events import CONTRACT, Event, Remeasured, Score, Seeds, UnverifiableError
from assay.tags.strategy_events import Accepted as Confirmed
from assay.tags.trailers import parse_event

FLOOR = "floor"
#: what a strategy must bring along to be run again
NEEDED = (PARAMS, LOCK)
#: what runs of an unpacked tree
_OWN = (PARAMS, LOCK, "src", "tasks", "task.py")


class AcceptedStrategy(schemas.Record, frozen=True, kw_only=True):
    """`context/baseline.json`: the baseline by name and commit; commit is "" for the floor.

    An accepted strategy stands with the replicates that confirmed it, `first` and following under
    `purpose`: those that selected it overstate it, and would make the next honest idea look worse.
    """

    name: str
    commit: str
    purpose: str = "baseline"
    first: int = 0
    library: str = ""  # version of Assay that accepted it, and the fingerprint of what trained it then
    fingerprint: str = ""
    metric_version: str = ""  # under which its tag has the score `then`
    then: Score | None = None
    vary: list[str] | UnsetType = UNSET  # what differs between its replicates; left out where everything does


def resolve(run: Run, name: str) -> AcceptedStrategy:
    """The baseline that `name` means today.

    Raises UsageError for a branch, a short hash, an unknown name, and for what today's library would not run as it was
    accepted.
    """
    if name == FLOOR:
        return AcceptedStrategy(name=FLOOR, commit="")
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
        git_checkout.check_pointer(path, content, name)
    confirmed = event(home, name, commit) if tag else None
    if not isinstance(confirmed, Confirmed):
        resolved(home, name, commit)
        return AcceptedStrategy(name=name, commit=commit)
    _check_contract(home, name, confirmed)
    seeds = _confirming(home, name, commit, confirmed)
    return AcceptedStrategy(
        name=name,
        commit=commit,
        purpose=seeds.purpose,
        first=seeds.candidate,
        library=confirmed.library,
        fingerprint=confirmed.fingerprint,
        metric_version=confirmed.metric_version,
        then=confirmed.confirmation.candidate,
    )


def resolved(home: Path, name: str, commit: str, profile: str | None = None) -> Params:
    """Parameters of the strategy as today's library reads them, a library that has its own defaults."""
    content = dvc_yaml.parameters_at(home, commit)
    return params_yaml.resolved(content or b"", profile, f"params.yaml of {name}")


def _check_contract(home: Path, name: str, event: Confirmed) -> None:
    """Refuse a strategy that today's library would not run as it was accepted."""
    if event.contract != CONTRACT:
        what = f"contract {event.contract}" if event.contract else "none: it ran a library of its own"
        raise UsageError(
            f"baseline {name} was accepted under {what}",
            allowed=f"contract {CONTRACT}",
            hint=f"git checkout {name} -- params.yaml src/tasks, write baseline: floor there, git commit -am Again, "
            "dvc exp run -n again, assay accept again NEW-NAME",
        )
    today = params_yaml.lines(resolved(home, name, event.commit, event.profile))
    differing = otherwise(event.parameters, today)
    if differing:
        raise UsageError(
            f"baseline {name} was accepted by Assay {event.library}, which read other parameters from its params.yaml "
            f"than today's: {'; '.join(differing)}",
            hint=f"pip install dvc-assay=={event.library}, or set baseline: floor and accept a strategy again",
        )


def otherwise(then: Sequence[str], today: Sequence[str]) -> list[str]:
    """Fields that a tag knows and that read otherwise today; one that the library got since is off by default."""
    now = dict(line.split(": ", 1) for line in today)
    pairs = (line.split(": ", 1) for line in then)
    return [f"{key} was {value}, is {now.get(key, 'unknown')}" for key, value in pairs if now.get(key) != value]


def _confirming(home: Path, name: str, commit: str, accepted: Confirmed) -> Seeds:
    """Seeds of the replicates that a strategy stands with: those that confirmed it, until it was measured again."""
    pattern = f"refs/tags/remeasured/{accepted.name}-*"
    later = git.run(home, "for-each-ref", "--format=%(refname:strip=2)", pattern).split("\n")
    events = (event(home, tag, commit) for tag in later)
    found = [one for one in events if isinstance(one, Remeasured)]
    strategy = git.run(home, "rev-parse", f"refs/tags/{name}")
    newest = max((one for one in found if one.strategy == strategy), key=lambda one: one.sequence, default=None)
    return newest.seeds if newest else accepted.seeds


def event(home: Path, tag: str, commit: str) -> Event | None:
    """What the tag says of the commit, None where that is not verifiable."""
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
            f"baseline {name!r} {kind}", allowed="floor, a tag, a full commit hash", hint=f"write baseline: {moving}"
        )
    listed = git.run(home, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags/strategy", check=False)
    tags = [line for line in listed.split("\n") if line]
    shallow = git.run(home, "rev-parse", "--is-shallow-repository", check=False) == "true"
    fetch = "git fetch --unshallow --tags" if shallow else "git fetch --tags"
    return UsageError(
        f"baseline {name!r} is not in this {'shallow clone' if shallow else 'repository'}",
        allowed=", ".join(["floor", *tags]),
        hint=fetch,
    )


def unpack(run: Run, commit: str, say: cache_dirs.Say = cache_dirs.unsaid) -> Path:
    """The folder of dvc.yaml as of `commit`, in our cache, with all files of the repository around it.

    They are whole, unchanged, or unpacked again. `say` is told where the cache does not take them.
    """
    tree, inside = run.store.tree(commit), git.prefix(run.home)
    cache_dirs.hold(tree)
    if not _whole(tree):
        tree = cache_dirs.place(lambda where: _unpacked(run.home, commit, where), tree, say)
    untracked_training_inputs.link(run, commit, tree / inside, say)
    return tree / inside


def _unpacked(home: Path, commit: str, tree: Path) -> Path:
    """`tree` with the project's files as of `commit`. Raises OSError where it cannot be written."""
    with cache_dirs.scratch(tree.parent) as scratch:
        project = git_checkout.write(home, commit, scratch)
        _check_pointers(project, commit)
        files.write_text(scratch / SEAL, _contents(scratch))
        _put(scratch, tree)
    cache_dirs.hold(tree)
    if not (tree / SEAL).is_file():
        raise FileNotFoundError(errno.ENOENT, "removed while it was made", str(tree))
    return tree


def _check_pointers(tree: Path, commit: str) -> None:
    """Refuse pointers in what the strategy's own code is, and reads."""
    git_checkout.check_pointers(tree, _OWN, commit[:12])
    lock = tree / LOCK
    read = untracked_training_inputs.training_files(lock.read_bytes()) if lock.is_file() else {}
    git_checkout.check_pointers(tree, read, commit[:12])


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
        return (tree / SEAL).read_text(encoding="utf-8") == _contents(tree)
    except (OSError, UnicodeDecodeError):
        return False


def _contents(tree: Path) -> str:
    """Hash over names and contents of the tree's files, less the seal and what the interpreter adds."""
    found = []
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if name.name == SEAL or "__pycache__" in name.parts:
            continue
        if path.is_symlink():  # an absolute one leads to what Git does not keep (`baseline.untracked_training_inputs`)
            if path.readlink().is_absolute():
                continue
            found.append(f"{files.digest(os.fsencode(path.readlink()))} {name.as_posix()}@\n")
        elif path.is_file():
            found.append(f"{files.digest(path.read_bytes())} {name.as_posix()}\n")
    return files.digest("".join(found).encode("utf-8", "surrogateescape"))
