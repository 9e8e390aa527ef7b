"""Landing an accepted strategy: commit, tag, baseline, branch and work tree; the old state or the new one.

The tag is the commit point: it and the branch move in one transaction of Git, before that nothing refers
to what was made, after that only the work tree has to follow. Covers: the transaction, finishing what was
interrupted. Not covered: whether the strategy deserves it (`verbs.accept`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.evidence.events import Accepted, tag_of
from assay.evidence.trailers import format_event
from assay.history import plumbing, pointer
from assay.history.commits import branch, tree_with
from assay.history.merging import Merge
from assay.outside import git
from assay.words.errors import UsageError
from assay.words.layout import Layout


@dataclass(frozen=True)
class Message:
    """What the commit and the tag say above their trailers."""

    title: str
    text: str


def land(layout: Layout, head: str, merge: Merge, event: Accepted, message: Message) -> Accepted:
    """Commit `merge`, tag it with `event`, move the baseline, move the branch; the event as tagged.

    Raises UsageError when the tag exists or the branch moved meanwhile; then nothing has changed.
    """
    root, on = layout.root, branch(layout.root)
    when = newest_date(root, head, event.experiment_commit)
    commit = plumbing.commit(root, merge.tree, merge.parents, f"{message.title}\n\n{message.text}", when)
    event = msgspec.structs.replace(event, commit=commit)
    tag = tag_of(event)
    target = plumbing.tag_object(root, tag, commit, format_event(event, message.title, message.text))
    tip = _pointed(root, commit, tag, when)
    try:
        plumbing.move(root, f"assay accept {event.name}", [(f"refs/tags/{tag}", target, ""), (on, tip, head)])
    except UsageError as error:
        short = on.removeprefix("refs/heads/")
        raise UsageError(f"{tag} exists, or {short} moved meanwhile", mend="run the command again") from error
    return event


def newest_date(root: Path, *commits: str) -> str:
    """The newest date of `commits`: a repeated command makes the same commit, byte for byte."""
    dates = [git.run(root, "show", "--no-patch", "--format=%ct %cd", "--date=raw", commit) for commit in commits]
    return max(dates, key=lambda line: int(line.split(" ", 1)[0])).split(" ", 1)[1]


def _pointed(root: Path, commit: str, tag: str, when: str) -> str:
    """The commit after `commit` that makes `tag` the baseline."""
    content = git.read(root, commit, pointer.PARAMS) or b""
    tree = tree_with(root, commit, {git.prefix(root) + pointer.PARAMS: pointer.repointed(content, tag)})
    return plumbing.commit(root, tree, [commit], f"Make {tag} the baseline", when)


def follow(layout: Layout, old: str, experiment: str) -> bool:
    """Bring index and work tree from `old` to HEAD; whether they now are there.

    Only files that are as in `old` or as in `experiment` are replaced: both stay in Git.
    """
    if foreign(layout, old, experiment) or overwritten(
        layout, old, git.run(layout.root, "rev-parse", "HEAD"), experiment
    ):
        return False
    plumbing.call(layout.root, "reset", "--quiet", "--hard", "HEAD")
    return True


def foreign(layout: Layout, head: str, experiment: str) -> list[str]:
    """Files of the repository that are edited and neither as in `head` nor as in `experiment`."""
    return sorted(set(git.edited(layout.root, head)) & set(git.edited(layout.root, experiment)))


def overwritten(layout: Layout, old: str, new: str, experiment: str) -> list[str]:
    """Untracked files that stand where `new` brings one, and are not the one of `new` or `experiment`."""
    top = Path(git.run(layout.root, "rev-parse", "--show-toplevel"))
    added = git.run(layout.root, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", old, new).split("\0")
    present = [path for path in added if path and (top / path).is_file()]
    return [path for path in present if not any(_alike(layout.root, top, path, commit) for commit in (new, experiment))]


def _alike(root: Path, top: Path, path: str, commit: str) -> bool:
    blob = git.run(root, "rev-parse", "--verify", "--quiet", f"{commit}:{path}", check=False)
    return blob == git.run(root, "hash-object", "--", str(top / path))


def finish(layout: Layout, event: Accepted) -> bool:
    """Complete an acceptance whose tag is there; whether anything was left to do.

    Raises UsageError when the branch went another way meanwhile.
    """
    root, tag = layout.root, tag_of(event)
    on, head = branch(root), git.run(root, "rev-parse", "HEAD")
    old = git.run(root, "rev-parse", f"{event.commit}^")
    contained = git.run(root, "merge-base", event.commit, head, check=False) == event.commit
    if not contained:
        if head != old:
            raise UsageError(
                f"{tag} exists, but {on.removeprefix('refs/heads/')} does not contain it", mend=f"git merge {tag}"
            )
        tip = _pointed(root, event.commit, tag, newest_date(root, event.commit))
        plumbing.move(root, f"assay accept {event.name}", [(on, tip, head)])
    index = git.run(root, "write-tree", check=False)
    if index != git.run(root, "rev-parse", f"{old}^{{tree}}") or index == git.run(root, "rev-parse", "HEAD^{tree}"):
        return not contained
    return follow(layout, old, event.experiment_commit)
