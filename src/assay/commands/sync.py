"""`assay sync`: looks, attempts, notes, scores and searches of a remote and of this repository, joined on both sides.

The one command that takes them over the network: no stage and no hook does. Fetched values stand under
`refs/assay/remotes/NAME/`, as a plain fetch would replace our own. Two searches of one name that are not one stay
apart. Not covered: branches, tags and experiments, which `git push`, `git fetch` and `dvc exp push` take along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.core.errors import UsageError
from assay.history import fidelity_certificates, look_ledger, rescored_metrics, search_records
from assay.runtime import append_only_ref, git, project_root
from assay.runtime.append_only_ref import LOOKS, NOTES, REMOTES, Grown
from assay.runtime.git_objects import refs

OURS = "refs/assay/"
#: pushes that somebody else was faster than
_ATTEMPTS = 5


@dataclass(frozen=True)
class Synced:
    """Entries that came from and went to the remote. `apart`: ref → why it was not joined."""

    remote: str
    came: int
    went: int
    damaged: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)


def sync(start: Path, remote: str | None) -> Synced:
    """Fetch from `remote` (default: origin, or the only one), join, push. Raises UsageError with Git's reason."""
    root = project_root.find(start).root
    name = _remote(root, remote)
    look_ledger.add(root, lambda _: [])  # what Git shows joins before anything else does
    came = 0
    for attempt in range(_ATTEMPTS):
        _fetch(root, name)
        pairs = _pairs(root, name)
        apart = _apart(root, pairs)
        pairs = {ours: theirs for ours, theirs in pairs.items() if ours not in apart}
        came += sum(_join(root, ours, theirs) for ours, theirs in pairs.items())
        went, said = _push(root, name, list(pairs))
        if not said:
            return Synced(name, came, went, look_ledger.kept(root).damaged, apart)
        if attempt + 1 == _ATTEMPTS:
            raise UsageError(f"git push to {name} failed: {said}", hint=f"git push {name} {LOOKS}, to see what it says")
    raise AssertionError


def _remote(root: Path, asked: str | None) -> str:
    known = git.run(root, "remote", check=False).split()
    name = asked or ("origin" if "origin" in known or len(known) != 1 else known[0])
    if name not in known:
        listed = ", ".join(known) or "none is set"
        raise UsageError(f"there is no remote {name!r}", allowed=listed, hint="git remote add origin URL")
    return name


def _fetch(root: Path, name: str) -> None:
    """What the remote has, beside ours and never over it."""
    wanted = (f"+{OURS}*:{REMOTES}/{name}/*", f"^{REMOTES}/*")
    git.run(root, "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", name, *wanted)


def _pairs(root: Path, name: str) -> dict[str, str]:
    """Ref of ours → what was fetched of it, whichever side has it."""
    shared = (LOOKS, NOTES, rescored_metrics.FOLDER, fidelity_certificates.FIDELITY, search_records.FOLDER)
    here = [ref.name for ref in refs(root, *shared)]
    there = [ref.name.removeprefix(f"{REMOTES}/{name}/") for ref in refs(root, f"{REMOTES}/{name}")]
    both = {*here, *(f"{OURS}{ref}" for ref in there if f"{OURS}{ref}".startswith(shared))}
    return {ref: f"{REMOTES}/{name}/{ref.removeprefix(OURS)}" for ref in sorted(both)}


def _apart(root: Path, pairs: Mapping[str, str]) -> dict[str, str]:
    """Searches of one name that were begun or went on in different ways: a mixture of both would be neither."""
    searches = {ours: theirs for ours, theirs in pairs.items() if ours.startswith(f"{search_records.FOLDER}/")}
    why = {
        ours: search_records.apart(*(one.files for one in append_only_ref.read(root, ours, theirs)))
        for ours, theirs in searches.items()
    }
    return {ours: reason for ours, reason in why.items() if reason}


def _join(root: Path, ours: str, theirs: str) -> int:
    """Add the files of `theirs` to `ours`; how many were new. What both have keeps what ours says."""
    local, fetched = append_only_ref.read(root, ours, theirs)
    known, other = rescored_metrics.files(local), rescored_metrics.files(fetched)
    new = [path for path in other if path not in known]
    if fetched.blob is None and fetched.tip and local.tip != fetched.tip:
        base = git.run(root, "merge-base", fetched.tip, local.tip, check=False) if local.tip else ""
        if local.blob is None and base == local.tip and set(known) <= set(other):
            git.run(root, "update-ref", ours, fetched.tip, local.tip or "0" * len(fetched.tip))
            return len(new)
        parents = [] if base == fetched.tip else [fetched.tip]
    else:
        parents = []
    if new or parents or local.blob is not None:
        append_only_ref.grow(root, ours, lambda now: {**other, **rescored_metrics.files(now)}, parents)
    return len(new)


def _push(root: Path, name: str, wanted: Sequence[str]) -> tuple[int, str]:
    """How many entries went, and what Git said where they did not."""
    fetched = {ref: f"{REMOTES}/{name}/{ref.removeprefix(OURS)}" for ref in wanted}
    pairs = {ref: append_only_ref.read(root, ref, there) for ref, there in fetched.items()}
    due = {ref: pair for ref, pair in pairs.items() if pair[0].tip != pair[1].tip}
    if not due:
        return 0, ""
    leases = [f"--force-with-lease={ref}:{there.tip}" for ref, (_, there) in due.items() if there.blob is not None]
    moves = [f"{here.tip}:{ref}" for ref, (here, _) in due.items()]
    try:
        git.run(root, "push", "--quiet", *leases, name, *moves)
    except UsageError as error:
        return 0, error.problem
    for ref, (here, _) in due.items():
        git.run(root, "update-ref", fetched[ref], here.tip)
    return sum(_more(*pair) for pair in due.values()), ""


def _more(here: Grown, there: Grown) -> int:
    return len(set(here.files) - set(rescored_metrics.files(there)))
