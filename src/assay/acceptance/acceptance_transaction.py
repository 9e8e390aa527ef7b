"""Landing an accepted strategy: commit, tag, baseline, branch and work tree; the old state or the new one.

The tag is the commit point: it and the branch move in one transaction of Git, before that nothing refers
to what was made, after that only the work tree has to follow (`acceptance.update_work_tree`). Covers: the transaction,
asking for it beforehand, finishing what was interrupted. Not covered: whether the strategy deserves it
(`commands.accept`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from assay.acceptance import name_conflicts, update_dvc_outputs, update_work_tree
from assay.acceptance.merge_commit import Merge
from assay.baseline import baseline_param
from assay.core.errors import UsageError
from assay.core.paths import PARAMS, ProjectPaths
from assay.runtime import git, git_plumbing
from assay.runtime.commit_one_file import branch, tree_with
from assay.tags.strategy_events import Accepted, tag_of
from assay.tags.trailers import format_event


@dataclass(frozen=True)
class Message:
    """What the commit and the tag say above their trailers."""

    title: str
    text: str


def land(layout: ProjectPaths, head: str, merge: Merge, event: Accepted, message: Message) -> Accepted:
    """Commit `merge`, tag it with `event`, move the baseline, move the branch; the event as tagged.

    Raises UsageError with Git's own reason when it refuses; then nothing has changed.
    """
    root = layout.root
    when = newest_date(root, head, event.experiment_commit)
    commit = git_plumbing.commit(root, merge.tree, merge.parents, f"{message.title}\n\n{message.text}", when)
    event = msgspec.structs.replace(event, commit=commit)
    _move(root, head, tag_of(event), commit, when, format_event(event, message.title, message.text))
    return event


def rehearse(layout: ProjectPaths, head: str, merge: Merge, name: str, experiment: str) -> None:
    """What `land` does, but for moving a ref: Git takes the locks, asks its hooks, and lets go.

    Raises UsageError where `land` would. What a server says to a push nobody can ask from here.
    """
    root = layout.root
    when = newest_date(root, head, experiment)
    commit = git_plumbing.commit(root, merge.tree, merge.parents, f"Accept {name}", when)
    _move(root, head, f"strategy/{name}", commit, when, f"Accept {name}\n", "abort")


def _move(
    root: Path, head: str, tag: str, commit: str, when: str, text: str, end: Literal["commit", "abort"] = "commit"
) -> None:
    """Tag `commit`, and move the branch from `head` to the commit after it, in one transaction."""
    on = branch(root)
    target = git_plumbing.tag_object(root, tag, commit, text)
    moves = [(f"refs/tags/{tag}", target, ""), (on, _pointed(root, commit, tag, when), head)]
    try:
        git_plumbing.move(root, _reason(tag), moves, end)
    except UsageError as error:
        raise _refused(root, head, tag, error) from error


def _reason(tag: str) -> str:
    return f"assay accept {tag.removeprefix('strategy/')}"


def _refused(root: Path, head: str, tag: str, error: UsageError) -> UsageError:
    """What Git said, and what helps against it."""
    on = branch(root)
    short = on.removeprefix("refs/heads/")
    said = error.problem.partition(f"{root}: ")[2] or error.problem
    hint = "run the command again"
    if git.resolve(root, on) != head:
        said = f"{short} moved meanwhile"
    elif git.resolve(root, f"refs/tags/{tag}"):
        said = f"{tag} exists"
    elif git.resolve(root, "refs/tags/strategy"):
        hint = "git tag old-strategy strategy && git tag -d strategy"
    elif _hook(root).is_file():
        hint = f"look at {_hook(root)}"
    return UsageError(f"Git refuses to write {tag} and to move {short} ({said})", hint=hint)


def _hook(root: Path) -> Path:
    return root / git.run(root, "rev-parse", "--git-path", "hooks/reference-transaction")


def newest_date(root: Path, *commits: str) -> str:
    """The newest date of `commits`: a repeated command makes the same commit, byte for byte."""
    raw = (git.run(root, "cat-file", "commit", commit).partition("\n\n")[0] for commit in commits)
    written = [next(line for line in header.split("\n") if line.startswith("committer ")) for header in raw]
    return max((" ".join(line.split(" ")[-2:]) for line in written), key=lambda date: int(date.split(" ")[0]))


def _pointed(root: Path, commit: str, tag: str, when: str) -> str:
    """The commit after `commit` that makes `tag` the baseline."""
    content = git.read(root, commit, PARAMS) or b""
    tree = tree_with(root, commit, {git.prefix(root) + PARAMS: baseline_param.repointed(content, tag)})
    return git_plumbing.commit(root, tree, [commit], name_conflicts.title(tag), when)


def finish(layout: ProjectPaths, event: Accepted) -> list[str] | None:
    """Complete an acceptance whose tag is there; outputs of DVC's to check out, None when nothing was left to do.

    Raises UsageError when the branch went another way meanwhile, or a file keeps the work tree from following.
    """
    root, tag = layout.root, tag_of(event)
    on, head = branch(root), git.run(root, "rev-parse", "HEAD")
    old = git.run(root, "rev-parse", f"{event.commit}^")
    contained = git.run(root, "merge-base", event.commit, head, check=False) == event.commit
    if not contained:
        if head != old:
            raise UsageError(
                f"{tag} exists, but {on.removeprefix('refs/heads/')} does not contain it", hint=f"git merge {tag}"
            )
        tip = _pointed(root, event.commit, tag, newest_date(root, event.commit))
        git_plumbing.move(root, _reason(tag), [(on, tip, head)])
    if not update_work_tree.behind(layout, old, event.experiment_commit):
        return None if contained else []
    outs = update_dvc_outputs.outdated(layout, old, "HEAD", event.experiment_commit)
    if kept := update_work_tree.follow(layout, old, event.experiment_commit):
        raise UsageError(
            f"{tag} is accepted, but {kept[0]} is edited, so the work tree cannot be updated",
            hint=f"keep a copy of it elsewhere, git checkout {old[:12]} -- '{kept[0]}', then run the command again",
        )
    return outs
