"""Another strategy of the same name on a remote branch, as far as was fetched.

Git tells by its history alone: a fetch brings no tag whose name is taken here. Not covered: asking the remote.
"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from assay.runtime import git


def title(tag: str) -> str:
    """What the commit that makes `tag` the baseline is called."""
    return f"Make {tag} the baseline"


def branch(root: Path, tag: str, commit: str = "") -> str:
    """A remote branch on which another commit than `commit` was tagged `tag`, as origin/main; "" when there is none."""
    asked = ("--max-count=1", "--fixed-strings", f"--grep={title(tag)}", "--remotes")
    found = git.run(root, "rev-list", *asked, *(["--not", commit] if commit else []), check=False)
    if not found:
        return ""
    holding = ("--count=1", "--format=%(refname:lstrip=2)", f"--contains={found}", "refs/remotes")
    return git.run(root, "for-each-ref", *holding, check=False)


def way_out(tag: str, remote: str) -> str:
    """Commands that take over theirs under `tag`, and keep ours on a branch and under another tag."""
    name = tag.removeprefix("strategy/")
    keep = f"git branch kept-{quote(name)} && git tag kept/{quote(name)} {quote(tag)} && git tag -d {quote(tag)}"
    return f"{keep} && git fetch --tags && git reset --keep {quote(remote)}"
