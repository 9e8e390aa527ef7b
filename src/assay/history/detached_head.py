"""HEAD on no branch, and commits that only Git's log of HEAD knows: after a killed run, and a `git commit` in a run.

`dvc exp run` detaches HEAD while it works in the work tree, and puts it back at the end. Killed, it does not; what is
committed meanwhile is left behind when it does. Covers: finding both, and the command that loses nothing. Not covered:
other leftovers (`history.killed_run_leftovers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from assay.runtime import git

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ENTRY = re.compile(r"([0-9a-f]+) ([0-9a-f]+) .*> ([0-9]{1,12}) [+-][0-9]{4}\t(.*)")
_MOVED = re.compile(r"checkout: moving from (.+) to (.+)")
_RESTORED = re.compile(r"dvc: Restore HEAD to '(.+)'")
#: DVC's own commit of what it measured
_MEASURED = "commit: dvc: commit experiment "


@dataclass
class HeadLog:
    """What Git's log of HEAD says of DVC's runs in the work tree."""

    branch: str = ""  # where HEAD was before the run that has not put it back; "" when none is open
    since: int = 0  # the second in which that run detached it
    commits: list[str] = field(default_factory=list)  # made by somebody else than DVC in a run

    def add(self, old: str, new: str, second: int, message: str) -> None:
        moved, restored = _MOVED.fullmatch(message), _RESTORED.fullmatch(message)
        if moved and _HASH.fullmatch(moved[2]) and old == new:  # as DVC does it; nobody types all of a hash
            if not _HASH.fullmatch(moved[1]):
                self.branch, self.since = moved[1], second
        elif moved or (restored and not _HASH.fullmatch(restored[1])):
            self.branch = ""
        elif self.branch and not restored and not message.startswith(_MEASURED) and old != new:
            self.commits.append(new)


def read(root: Path) -> HeadLog:
    """The log of HEAD, where Git keeps one as a file."""
    path = root / git.run(root, "rev-parse", "--git-path", "logs/HEAD")
    found = HeadLog()
    for line in path.read_text("utf-8", "surrogateescape").split("\n") if path.is_file() else ():
        entry = _ENTRY.fullmatch(line)
        if entry:
            found.add(entry[1], entry[2], int(entry[3]), entry[4])
    return found


def unreachable(root: Path, commits: Iterable[str]) -> list[str]:
    """Those of `commits`, and what they stand on, that no branch and no tag holds, newest first."""
    asked = "\n".join(commits)
    if not asked:
        return []
    options = ("--topo-order", "--ignore-missing", "--stdin", "--not", "--branches", "--tags", "--remotes")
    return git.run(root, "rev-list", *options, stdin=asked, check=False).split()


def kept(commit: str) -> str:
    """The command that gives `commit` a branch."""
    return f"git branch kept-{commit[:8]} {commit}"


def attach(root: Path, branch: str = "") -> str:
    """The command that brings HEAD back to `branch`, or to one that stands here, and loses no commit."""
    head = git.run(root, "rev-parse", "HEAD")
    here = git.run(root, "for-each-ref", "--format=%(refname)", f"--points-at={head}", "refs/heads").split("\n")
    wanted = f"refs/heads/{branch}" if branch else "refs/heads/main"
    if wanted in here or (here[0] and not branch):
        return f"git symbolic-ref HEAD {quote(wanted if wanted in here else here[0])}"
    tip = git.resolve(root, wanted) if branch else None
    if tip and git.run(root, "merge-base", tip, head, check=False) == tip:
        return f"git update-ref {quote(wanted)} {head} {tip} && git symbolic-ref HEAD {quote(wanted)}"
    if tip and not unreachable(root, [head]):
        return f"git switch {quote(branch)}"
    if tip:
        return f"{kept(head)} && git switch {quote(branch)} && git merge kept-{head[:8]}"
    return "git switch -c NAME"


def sentence(root: Path, log: HeadLog) -> str:
    """What is wrong with a HEAD that is detached, without its hint."""
    head = git.run(root, "rev-parse", "HEAD")
    lost = unreachable(root, [head])
    since = f", since a run on {log.branch} was killed" if log.branch else ""
    holds = f", with {len(lost)} commit(s) that are on no branch" if lost else ""
    return f"HEAD is detached at {head[:12]}{since}{holds}"


def before_this_run(root: Path, experiment: str) -> str:
    """A sentence with its hint, where a killed run left HEAD detached before the one that asks; else "".

    `experiment` is the name of the one that asks, "" where it is none, and then DVC has not detached HEAD for it.
    """
    if git.run(root, "symbolic-ref", "--quiet", "HEAD", check=False):
        return ""
    log = read(root)
    if not log.branch or (experiment and not _later(root, log)):
        return ""
    return f"{sentence(root, log)}; next, after this run: {attach(root, log.branch)}"


def _later(root: Path, log: HeadLog) -> bool:
    """Whether the present run began after HEAD was detached: each writes this ref, and then detaches HEAD."""
    begun = root / git.run(root, "rev-parse", "--git-path", "refs/exps/exec/EXEC_HEAD")
    return begun.is_file() and begun.stat().st_mtime >= log.since + 1
