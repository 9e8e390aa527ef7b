"""The line `baseline:` in params.yaml: changed in place, everything else byte for byte as it was.

Covers: the text, and a commit that changes nothing but this line, whatever else is edited or staged.
Not covered: what the baseline means (`outside.accepted`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from assay.core.errors import UsageError
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.yaml12 import parse
from assay.runtime import files, git
from assay.runtime.commit_one_file import branch, commit_file

_LINE = re.compile(r"^(baseline[ \t]*:[ \t]*)([^\s#]+)([ \t]*)(.*)$", re.MULTILINE)


class Repointed(NamedTuple):
    """params.yaml with another baseline, as of HEAD and as in the work tree."""

    committed: bytes
    present: bytes


def baseline(content: bytes, where: str = PARAMS) -> str:
    """The baseline that params.yaml names; `floor` when it names none."""
    return str(parse(content, where).get("baseline", "floor"))


def glance(content: bytes) -> str:
    """The same without parsing, for a thousand files at once; "" where the line is not found."""
    match = _LINE.search(content.decode("utf-8", "replace"))
    return match[2] if match else ""


def repointed(content: bytes, name: str, where: str = PARAMS) -> bytes:
    """`content` with `baseline: name`; comments and their columns stay.

    Raises UsageError when the line is written in a form that cannot be changed safely.
    """
    expected = {**parse(content, where), "baseline": name}
    new = _LINE.sub(lambda match: _line(match, name), content.decode("utf-8"), count=1)
    if parse(new, where) != expected:
        raise UsageError(
            f"{where} does not hold `baseline: NAME` on a line of its own", hint=f"write the line `baseline: {name}`"
        )
    return new.encode("utf-8")


def _line(match: re.Match[str], name: str) -> str:
    key, old, space, rest = match.groups()
    column = len(old) + len(space)
    return key + (name.ljust(max(column, len(name) + 1)) + rest if rest.startswith("#") else name + space + rest)


def move(layout: ProjectPaths, name: str, message: str) -> str:
    """Commit `baseline: name` on the current branch and write it into the work tree; the commit's hash.

    Only this line changes in either place; other edits of params.yaml stay as they are.
    """
    on, new = branch(layout.root), plan(layout, name)
    commit = commit_file(layout.root, on, PARAMS, new.committed, message)
    files.write_bytes(layout.params, new.present)
    return commit


def plan(layout: ProjectPaths, name: str) -> Repointed:
    """What `move` would write. Raises UsageError where it cannot: for who writes something else before."""
    committed = git.read(layout.root, "HEAD", PARAMS)
    if committed is None:
        raise UsageError("params.yaml is not committed", hint="git add params.yaml && git commit -m Parameters")
    present = files.read_bytes(layout.params, "git checkout HEAD -- params.yaml")
    return Repointed(repointed(committed, name, "params.yaml at HEAD"), repointed(present, name))


def at(root: Path, revision: str) -> str:
    """The baseline that params.yaml names at `revision`, "" where there is no such file."""
    content = git.read(root, revision, PARAMS)
    return "" if content is None else baseline(content, f"params.yaml at {revision}")
