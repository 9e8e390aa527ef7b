"""What Git was asked while something was made, seen by an audit hook, and whether it would answer the same again.

Covers: commands of `git -C ROOT`; those about full hashes, whose answers never change, are left out. Not covered: what
is written to a command's standard input. `git cat-file --batch` is asked about full hashes and refs of ours, whose tips
`runtime.kept_pages` compares; with any other such command, or one that is no question, `all_known` is not set.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.runtime import files

#: commands that answer and change nothing
_QUESTIONS = frozenset({"rev-parse", "for-each-ref", "diff-index", "check-attr", "cat-file", "ls-tree", "ls-files"})
_HASH = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})(?::.*)?", re.DOTALL)


@dataclass
class GitQuestions:
    """Arguments behind `git -C root`. `all_known`: nothing else was asked."""

    root: Path
    asked: set[tuple[str, ...]] = field(default_factory=set)
    all_known: bool = True

    def hear(self, command: Sequence[str], environment: Mapping[Any, Any] | None) -> None:
        """Add a command that is about to be started."""
        git, *words = map(str, command)
        if git != "git" or words[:2] != ["-C", str(self.root)] or "GIT_INDEX_FILE" in (environment or {}):
            self.all_known = False
        elif _of_place(words[2:]) or _of_hashes(words[2:]) or words[2:] == ["cat-file", "--batch"]:
            return
        elif words[2:3] and words[2] in _QUESTIONS and "--stdin" not in words:
            self.asked.add(tuple(words[2:]))
        else:
            self.all_known = False

    def answers(self) -> dict[str, str]:
        """Question → hash of what Git says now."""
        return {"\0".join(question): answer(self.root, question) for question in sorted(self.asked)}


def answer(root: Path, question: Sequence[str]) -> str:
    """Hash of what Git says to `question`, and of whether it failed."""
    done = subprocess.run(["git", "-C", str(root), *question], capture_output=True)
    return files.digest(b"%d %s" % (done.returncode, done.stdout))


def _of_place(words: Sequence[str]) -> bool:
    """Where the repository lies, which whoever compares knows by itself."""
    return words[:1] == ["rev-parse"] and all(word.startswith("--") and word != "--verify" for word in words[1:])


def _of_hashes(words: Sequence[str]) -> bool:
    if words[:1] not in (["cat-file"], ["ls-tree"]):
        return False
    about = [word for word in words[1:] if not word.startswith("-")]
    return bool(about) and all(map(_HASH.fullmatch, about))


_heard: GitQuestions | None = None


@contextmanager
def recording(root: Path) -> Iterator[GitQuestions]:
    """Collects what Git is asked inside of the block."""
    global _heard
    _install()
    _heard = found = GitQuestions(root)
    try:
        yield found
    finally:
        _heard = None


@lru_cache(maxsize=1)
def _install() -> None:
    """Once in a process: a hook cannot be taken away again."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard is None or event != "subprocess.Popen":
        return
    _, command, _, environment = arguments
    if isinstance(command, str | bytes):
        _heard.all_known = False
    else:
        _heard.hear(command, environment)
