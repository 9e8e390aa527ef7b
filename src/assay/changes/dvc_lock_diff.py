"""The work tree against dvc.lock: sources, parameters and outputs that are not what the last run knew.

Covers: sources by the code files of `context`, files of a few MB by their hash, larger outputs by size and number of
files. Not covered: starting DVC, which would take seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.core import schemas
from assay.core.paths import PARAMS, ProjectPaths
from assay.core.yaml12 import parse
from assay.runtime import dvc_lock, stage_fingerprint
from assay.runtime.dvc_hash import digest, inside
from assay.runtime.dvc_lock import Stages

#: an output of more bytes than this is compared by size alone
HASHED = 1_000_000


def changed_sources(root: Path, lock: Stages) -> dict[str, list[str]]:
    """Stage → sources and parameters that are not what its last run used; `assay` where it is the library's."""
    present = parse((root / PARAMS).read_bytes()) if (root / PARAMS).is_file() else {}
    found = {}
    for stage, entry in lock.items():
        deps = dvc_lock.hashes(entry, "deps")
        listed = [path for path in deps if path.endswith(".py") and digest(root / path) != deps[path]]
        code = ProjectPaths(root).code(stage).relative_to(root).as_posix()
        imported = _changed_code(root, stage, parameter(present, "task.name"), deps[code]) if code in deps else []
        names = dict.fromkeys([*listed, *imported])
        found[stage] = [*names, *_changed_parameters(dvc_lock.parameters(entry), present)]
    return {stage: names for stage, names in found.items() if names}


def _changed_code(root: Path, stage: str, task: Any, md5: str | None) -> list[str]:
    """What a stage reaches and that is not as it was when `context` wrote the file with this hash."""
    layout, now = ProjectPaths(root), stage_fingerprint.find(root, stage, str(task))
    if hashlib.md5(schemas.encode(now), usedforsecurity=False).hexdigest() == md5:
        return []  # also in a clone, where `context` never ran
    if digest(layout.code(stage)) != md5:  # `context` ran since
        return [layout.code(stage).relative_to(root).as_posix()]
    return list(stage_fingerprint.differences(stage_fingerprint.recorded(layout, stage), now))


def _changed_parameters(params: dict[str, Any], present: dict[str, Any]) -> list[str]:
    return [key for key, value in params.items() if parameter(present, key) != value]


def parameter(values: Any, key: str) -> Any:
    """The value at a dotted key of params.yaml, None where there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def changed_outputs(root: Path, lock: Stages) -> list[str]:
    """Outputs in the work tree that are missing or differ from what `lock` says of them."""
    outs = (out for entry in lock.values() for out in entry.get("outs") or [])
    return [str(out["path"]) for out in outs if not _as_locked(root / str(out["path"]), out)]


def _as_locked(path: Path, out: dict[str, Any]) -> bool:
    if not path.exists():
        return False
    if path.is_dir():
        files = list(inside(path))
        return bool(len(files) == out.get("nfiles", len(files)) and _size(files) == out.get("size", _size(files)))
    size = path.stat().st_size
    return bool(size == out.get("size", size) and (size > HASHED or digest(path) == out.get("md5")))


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)
