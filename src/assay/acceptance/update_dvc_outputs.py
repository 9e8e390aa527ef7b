"""Outputs of DVC's whose recorded hash a landing changes: looked at before it, checked out by name after it.

Covers: `.dvc` files and dvc.lock of two commits. Not covered: any other output; what somebody keeps there is his.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from assay.acceptance import update_work_tree
from assay.core.errors import ProvenanceError, UsageError
from assay.core.paths import LOCK, PIPELINE, ProjectPaths
from assay.core.yaml12 import parse
from assay.runtime import dvc_lock, git
from assay.runtime.dvc_cli import DVC
from assay.runtime.dvc_hash import digest
from assay.scratch.scratch_repo import run

_FILES = ("ls-tree", "-r", "-z", "--name-only", "--full-tree")


def check(layout: ProjectPaths, old: str, new: str, experiment: str) -> None:
    """Refuse where the output of a `.dvc` file that `new` changes holds anything but what its `.dvc` file says.

    A checkout of it would replace what is in no commit and no cache. Raises ProvenanceError.
    """
    top = git.top(layout.root)
    paths = [path for path in _records(layout, old, new, experiment) if path.endswith(".dvc")]
    known = [path for path in paths if (top / path).is_file()]
    for path in _edited(layout, known):
        raise ProvenanceError(
            f"{path} holds other data than its .dvc file says, and the strategy brings others",
            hint=f"dvc add {path}, and run the experiment with it: dvc exp run; or dvc checkout --force {path}",
        )
    for path in sorted(set(paths) - set(known)):
        for out, recorded in _outs(layout.root, new, path).items():
            if (top / out).exists() and digest(top / out) != recorded:
                raise ProvenanceError(f"{out} is there, and the strategy brings another", hint=f"mv '{out}' elsewhere")


def outdated(layout: ProjectPaths, old: str, new: str, experiment: str) -> list[str]:
    """Outputs, named from the project, whose hash in `new` is another than the work tree's records say: what a step to
    `new` changes. To be asked before the records follow.
    """
    root, tracked = layout.root, set(git.run(layout.root, *_FILES, new).split("\0"))
    found = []
    for path in _records(layout, old, new, experiment):
        before = _outs(root, "", path)
        found += [out for out, digest in _outs(root, new, path).items() if before.get(out) != digest]
    return [os.path.relpath(git.top(root) / out, root) for out in found if out not in tracked]


def check_out(layout: ProjectPaths, outs: list[str]) -> list[str]:
    """Bring these outputs to what their records say; those that DVC left as they are, since they hold what its cache
    has not, or since its cache has not what should be there.
    """
    if not outs or _checked_out(layout, *outs):
        return []
    return [out for out in outs if not _checked_out(layout, out)]  # which of them it was


def _records(layout: ProjectPaths, old: str, new: str, experiment: str) -> list[str]:
    """`.dvc` files and dvc.lock of the project that are to follow to `new`, named from the top."""
    wanted = update_work_tree.brought(layout.root, old, new, experiment)
    below, edited = git.prefix(layout.root), set(git.edited(layout.root, new))
    there = [path for path, entry in wanted.items() if int(entry.mode, 8) and path in edited]
    ours = [path for path in there if path.startswith(below)]
    return [path for path in ours if path.endswith(".dvc") or PurePosixPath(path).name == LOCK]


def _edited(layout: ProjectPaths, paths: list[str]) -> list[str]:
    """Outputs of these `.dvc` files that are there and not as the files say, or that no cache has."""
    if not paths:
        return []
    targets = [os.path.relpath(git.top(layout.root) / path, layout.root) for path in paths]
    code, said = run([*DVC, "status", "--json", *targets], layout.root, layout.root)
    try:
        found = json.loads(said[said.find("{") :])  # a warning may stand before it
    except ValueError as error:
        last = (said.strip() or f"exit code {code}").splitlines()[-1]
        raise UsageError(f"dvc status failed: {last}", hint=f"dvc status {' '.join(targets)}") from error
    states = [(out, state) for entries in found.values() for entry in entries for out, state in _changed(entry)]
    return [out for out, state in states if state != "deleted"]


def _changed(entry: object) -> list[tuple[str, str]]:
    outs = entry.get("changed outs") if isinstance(entry, dict) else None
    return list(outs.items()) if isinstance(outs, dict) else []


def _checked_out(layout: ProjectPaths, *outs: str) -> bool:
    """Whether DVC brought these to what its files say. Without --force it replaces nothing that its cache has not."""
    code, _ = run([*DVC, "checkout", "--quiet", *outs], layout.root, layout.root)
    return code == 0


def _outs(root: Path, commit: str, path: str) -> dict[str, str]:
    """Output, named from the top → its hash in a `.dvc` file or dvc.lock of `commit`, or of the work tree for ""."""
    found, above = _parsed(root, commit, path), PurePosixPath(path).parent
    if path.endswith(".dvc"):
        return dict(_hashes(found, above / str(found.get("wdir") or "")))
    stages, written = found.get("stages") or {}, _parsed(root, commit, str(above / PIPELINE)).get("stages") or {}
    folders = {name: str((written.get(name) or {}).get("wdir") or "") for name in stages}
    return {out: digest for name in stages for out, digest in _hashes(stages[name], above / folders[name])}


def _parsed(root: Path, commit: str, path: str) -> dict[str, Any]:
    present = git.top(root) / path
    if not commit and not present.is_file():
        return {}
    content = git.read(git.top(root), commit, path) if commit else present.read_bytes()
    return parse(content, path) if content else {}


def _hashes(entry: Mapping[str, Any], above: PurePosixPath) -> Iterator[tuple[str, str]]:
    for path, known in dvc_lock.hashes(entry, "outs").items():
        if "://" not in path:
            yield os.path.normpath(above / path), known
