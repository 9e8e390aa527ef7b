"""The files of a Git tree for another machine: its objects as one pack, unpacked and checked by the tree's own hash.

`git archive` would do what export-subst and export-ignore say, and train other code than the tree's. Covers: the pack,
a repository of our own around the unpacked files, settings that decide what a checkout writes. Not covered: content
that a filter fetches from elsewhere (Git LFS): its pointer is refused.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from assay.core.errors import ProvenanceError, UsageError
from assay.core.paths import PARAMS, PIPELINE
from assay.core.work_records import SharedPaths, WorkRequest
from assay.runtime import git, git_checkout, git_env_vars, git_plumbing, shared_files

#: settings that decide what a checkout writes, and travel with a request
_SETTINGS = re.compile(
    r"filter\..*\.(smudge|process|required)|core\.(autocrlf|eol|bigfilethreshold|checkroundtripencoding)"
)
#: what runs of an unpacked tree, and so may be no pointer
_OWN = (PARAMS, PIPELINE, "src", "tasks", "task.py")


def settings(home: Path) -> dict[str, str]:
    """Settings of the user's Git that decide what a checkout writes."""
    listed = git.run(home, "config", "--list", "--null").split("\0")
    pairs = (entry.partition("\n") for entry in listed if entry)
    return {key: value if given else "true" for key, given, value in pairs if _SETTINGS.fullmatch(key)}


def write(top: Path, tree: str, shared: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The pack of `tree` in the shared folder, made where it is not there; `top` is a repository that has the objects.

    Raises UsageError naming what Git lacks, in a partial clone for example.
    """
    pack = SharedPaths(shared).pack(tree)
    if pack.is_file():
        return pack
    listed = _git(top, ("rev-list", "--objects", "--no-object-names", tree), b"", environment)
    shared_files.write(pack, _git(top, ("pack-objects", "--stdout", "--quiet"), listed, environment))
    return pack


def unpack(request: WorkRequest, shared: Path, top: Path) -> Path:
    """The tree's files in a repository of our own at `top`, which is not there yet; the folder of dvc.yaml in it.

    Raises ProvenanceError where the pack does not hold the very tree, UsageError where there is none.
    """
    pack = SharedPaths(shared).pack(request.tree)
    content = shared_files.read(pack)
    if content is None:
        raise UsageError(
            f"the code of the request, tree {request.tree[:12]}, is not in {pack.parent}",
            hint="submit it again from the project: assay work",
        )
    top.mkdir(parents=True)
    ours = git_env_vars.of_our_own()
    git.run(top, "init", "--quiet", "--template=", f"--object-format={request.object_format}", environment=ours)
    for key, value in {**request.git, "core.hookspath": os.devnull, "core.safecrlf": "false", "gc.auto": "0"}.items():
        git.run(top, "config", key, value, environment=ours)
    try:
        git_plumbing.call(top, "index-pack", "--stdin", "--strict", stdin=content, environment=ours)
        _check_whole(top, request.tree, ours)
        git.run(top, "read-tree", "--reset", "-u", request.tree, environment=ours)
    except UsageError as error:
        raise ProvenanceError(
            f"the files of tree {request.tree[:12]} cannot be had from {pack}: {error.problem}",
            hint=f"rm '{pack}', then submit it again from the project: assay work",
        ) from error
    if git.run(top, "write-tree", environment=ours) != request.tree:
        raise ProvenanceError(f"{pack} unpacks to another tree than {request.tree}", hint=f"rm '{pack}'")
    project = top / request.project
    git_checkout.check_pointers(project, _OWN, request.tree[:12])
    return project


def check_unchanged(request: WorkRequest, project: Path) -> None:
    """Raises ProvenanceError where a tracked file is not as in the tree any more."""
    edited = git.edited(project, request.tree)
    if edited:
        raise ProvenanceError(
            f"{edited[0]} was edited on the worker: it is not as in tree {request.tree[:12]}",
            hint="submit the edited code instead: assay work, in its own checkout",
        )


def _check_whole(top: Path, tree: str, environment: Mapping[str, str]) -> None:
    """Raises UsageError where an object of the tree is missing, or its hash is not that of its content."""
    git.run(top, "rev-list", "--objects", "--quiet", "--missing=error", tree, environment=environment)


def _git(top: Path, arguments: tuple[str, ...], given: bytes, environment: Mapping[str, str]) -> bytes:
    """Standard output as bytes: a pack is no text."""
    done = subprocess.run(["git", "-C", str(top), *arguments], input=given, capture_output=True, env=dict(environment))
    if done.returncode:
        said = (done.stderr.decode(errors="replace").strip() or "no message").split("\n")[0]
        raise UsageError(
            f"the files of the tree cannot be packed: {said}", hint="git fetch --refetch origin, or git fsck"
        )
    return done.stdout
