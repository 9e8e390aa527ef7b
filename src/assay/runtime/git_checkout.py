"""A commit's files, written as a checkout of it writes them: with filters and line ends as in the user's work tree.

`git archive` would do what export-subst and export-ignore say, and train other code than the commit's. Covers: an index
and a work tree of our own beside the user's; what a missing filter left as a pointer. Not covered: keeping the files
(`baseline.accepted_strategy`).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from assay.core.errors import FULL, UsageError
from assay.runtime import git

#: what stands at the beginning of a file whose filter was not at work → how to bring the file itself
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": "git lfs install && git lfs pull",
    b"\0GITCRYPT\0": "git-crypt unlock",
    b"/annex/objects/": "git annex get {}",
}
#: bytes of a file that tell a pointer
LONGEST = max(map(len, _POINTERS))


def write(home: Path, commit: str, folder: Path) -> Path:
    """The project's files as of `commit` and all Python sources around it, written under `folder`, which is empty; the
    folder in there that is the project's. A strategy may import helpers from above its own folder.

    `home` lies in the repository. Raises OSError where there is no room for them.
    """
    project = folder / git.prefix(home)
    project.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        places = {
            "GIT_DIR": git.run(home, "rev-parse", "--absolute-git-dir"),
            "GIT_INDEX_FILE": str(Path(aside, "index")),
            "GIT_WORK_TREE": str(folder),
            "LC_ALL": "C",
        }
        helpers = b"" if project == folder else _sources(home, commit)
        for where, command, given in (
            (project, ("read-tree", commit), b""),
            (project, ("checkout-index", "--all", "--quiet"), b""),
            (folder, ("checkout-index", "--force", "--quiet", "-z", "--stdin"), helpers),
        ):
            line = ["git", "-C", str(where), *git.BESIDE, *command]
            done = subprocess.run(line, env=os.environ | places, capture_output=True, input=given)
            if done.returncode:
                raise _failed(commit, done.stderr.decode(errors="replace"), folder)
    _drop_outward_links(project)
    return project


def _sources(home: Path, commit: str) -> bytes:
    """Python sources anywhere in the repository, each name ended by a zero byte."""
    listed = git.run(home, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0")
    return b"".join(os.fsencode(f"{path}\0") for path in listed if path.endswith(".py"))


def _drop_outward_links(project: Path) -> None:
    """Remove symbolic links that leave `project`: what they mean lies on one machine, and no commit holds it."""
    inside = project.resolve()
    for link in [path for path in project.rglob("*") if path.is_symlink()]:
        target = link.readlink()
        leads = os.path.normpath(inside / link.parent.relative_to(project) / target)
        if target.is_absolute() or not Path(leads).is_relative_to(inside):
            link.unlink()


def _failed(commit: str, said: str, folder: Path) -> Exception:
    for code in FULL:
        if os.strerror(code) in said:
            return OSError(code, os.strerror(code), str(folder))
    hint = f"git lfs fetch origin {commit[:12]}, or whatever that filter needs" if "filter" in said else ""
    return UsageError(
        f"the files of {commit[:12]} cannot be read: {' '.join(said.split())[:300]}",
        hint=hint or "git fetch --unshallow --tags",
    )


def check_pointers(root: Path, paths: Iterable[str], of: str) -> None:
    """Refuse a file at or below one of `paths` that holds a pointer in place of its content; `of` names the tree."""
    for path in paths:
        place = root / path
        for file in sorted(place.rglob("*")) if place.is_dir() and not place.is_symlink() else [place]:
            if file.is_file():
                with file.open("rb") as stream:
                    check_pointer(file.relative_to(root).as_posix(), stream.read(LONGEST), of)


def check_pointer(name: str, content: bytes, of: str) -> None:
    """The same for one file, by the beginning of its content."""
    hint = next((hint for beginning, hint in _POINTERS.items() if content.startswith(beginning)), "")
    if hint:
        raise UsageError(
            f"{name} of {of} is a pointer: the Git filter that fetches its content did not run",
            hint=hint.format(name),
        )
