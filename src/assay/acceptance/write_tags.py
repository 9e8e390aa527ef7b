"""Writing events: an annotated tag each, made whole by Git or not at all.

Covers: names that are taken, identity, the tag itself. Not covered: moving the baseline (`baseline.baseline_param`).
"""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.runtime import git, git_plumbing
from assay.runtime.git_objects import Ref
from assay.tags.strategy_events import Event, check_name, tag_of
from assay.tags.trailers import format_event


def check_identity(root: Path) -> None:
    """UsageError when Git does not know who writes."""
    if not git.run(root, "var", "GIT_COMMITTER_IDENT", check=False):
        raise UsageError(
            "Git has no user name and e-mail address",
            hint='git config user.name "Your Name" && git config user.email you@example.org',
        )


def check_why(why: str) -> str:
    """The reason without surrounding space; UsageError when there is none."""
    if not why.strip():
        raise UsageError("--why is empty", allowed="a reason, for those who read it in a year")
    return why.strip()


def check_free(refs: dict[str, Ref], folder: str, name: str) -> None:
    """UsageError when FOLDER/NAME exists, in any spelling: some file systems know no upper case."""
    wanted = f"refs/tags/{folder}/{check_name(name)}".casefold()
    for ref in refs:
        if ref.casefold() == wanted:
            tag = ref.removeprefix("refs/tags/")
            raise UsageError(f"the tag {tag} exists", hint=f"choose another name, or look at it with `git show {tag}`")


def write(root: Path, event: Event, title: str, text: str = "") -> str:
    """Create the tag of `event` in the repository at `root`; its name. Raises UsageError when Git refuses."""
    tag = tag_of(event)
    message = format_event(event, title, text)
    target = git_plumbing.tag_object(
        root, tag, event.commit, message
    )  # `git tag` would sign it where a setting says so
    git_plumbing.move(root, f"assay: {title}", [(f"refs/tags/{tag}", target, "")])
    return tag
