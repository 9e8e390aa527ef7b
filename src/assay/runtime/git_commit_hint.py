"""The command that has Git hold files it does not track.

A commit: DVC takes a mere `git add` back when a run fails, and the next run would refuse the same file again.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from pathlib import Path

from assay.runtime import git

#: so many files are named, more by the folder that holds them all
NAMED = 3


def commit_command(root: Path, files: Sequence[str]) -> str:
    """`git add` and `git commit` of these files, relative to `root`; of their folder where they are many."""
    ignored = git.run(root, "check-ignore", "-z", "--stdin", stdin="\0".join(files), check=False).split("\0")
    forced = [file for file in ignored if file]  # Git refuses to add them unless it is told to
    folder = "" if forced else posixpath.commonpath([posixpath.dirname(file) for file in files])
    names = shlex.join([folder] if folder and len(files) > NAMED else (forced or files)[:NAMED])
    return f"git add {'--force ' * bool(forced)}{names} && git commit -m Track -- {names}"


def named(files: Sequence[str]) -> str:
    """The first of `files`, and how many more there are."""
    return files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else "")
