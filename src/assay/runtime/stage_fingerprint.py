"""The code that a stage reaches: Assay's by a fingerprint, the user's own file by file, with what its metrics read.

`context` writes it down as `context/code-STAGE.json`, which the stage depends on; the stage compares that with the
sources that it is about to run. Covers: finding, comparing. Not covered: what Python really imported
(`runtime.tracked_code_check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import UNSET

from assay.core import schemas
from assay.core.errors import ProvenanceError
from assay.core.paths import ProjectPaths
from assay.core.schemas import StageCode
from assay.runtime import (
    files,
    import_closure,
    library_fingerprint,
    metric_input_files,
    script_source,
    task_code,
    task_source,
    training_reads,
)
from assay.runtime import source_roots as trees

#: stage → part of the task that it imports: a module of a folder, or some members of a task.py
TASK_MODULES = {"prepare": task_code.DATA, "train": task_code.LEARNING, "evaluate": task_code.METRICS}
_PARTS = TASK_MODULES | {library_fingerprint.TRAINING: task_code.LEARNING}


def find(
    root: Path,
    stage: str,
    task: str,
    looked: import_closure.Looked | None = None,
    fingerprints: Mapping[str, str] | None = None,
) -> StageCode:
    """The code of `stage` as it is now; `fingerprints` are the library's, where they are known."""
    library, part = library_of(root, stage, task, fingerprints), TASK_MODULES.get(stage)
    if part is None:
        return StageCode(stage=stage, library=library, files={})
    own = task_code.hashes(root, task, part, looked)
    reads = metric_input_files.metric_reads(root, task) if part == task_code.METRICS else []
    contents = {path.as_posix(): files.digest((root / path).read_bytes()) for path in reads}
    if part == task_code.LEARNING:
        contents |= training_reads.hashes(root)
    shown = _shown(root, task, looked) if part == task_code.METRICS else {}
    return StageCode(stage=stage, library=library, files=own, reads=contents or UNSET, shows=shown or UNSET)


def _shown(root: Path, task: str, looked: import_closure.Looked | None) -> dict[str, str]:
    """What the task's show() reaches, where it is no part of metrics.py: neither key nor dependency of the metric."""
    if script_source.task(root) or task_source.show_part(root, task) != task_code.SHOW:
        return {}
    return task_code.hashes(root, task, task_code.SHOW, looked)


def library_of(root: Path, name: str, task: str, fingerprints: Mapping[str, str] | None = None) -> str:
    """Fingerprint of the library's code in a stage, or in training: what all tasks need, and what this one imports."""
    known = library_fingerprint.fingerprints() if fingerprints is None else fingerprints
    ours, part = known[name], _PARTS.get(name)
    imported = task_code.library(root, task, part) if part else ""
    return files.digest(f"{ours} {imported}".encode()) if imported else ours


def recorded(layout: ProjectPaths, stage: str) -> StageCode:
    """What `context` found. Raises UsageError where it did not run yet."""
    path, hint = layout.code(stage), f"dvc repro context {stage}"
    return schemas.decode(files.read_bytes(path, hint), StageCode, str(path), hint)


def differences(before: StageCode, now: StageCode) -> Iterator[str]:
    """What is not as it was, in words: files by their names, the library as one."""
    if before.library != now.library:
        yield trees.LIBRARY
    old, new = before.hashes, now.hashes
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name


def check(layout: ProjectPaths, stage: str, task: str) -> StageCode:
    """The code of `stage`. Raises ProvenanceError where it is not what `context` saw."""
    found = recorded(layout, stage)
    changed = list(differences(found, find(layout.root, stage, task)))
    if changed:
        raise ProvenanceError(
            f"{', '.join(changed[:3])} changed since the stage context looked", hint=f"dvc repro context {stage}"
        )
    return found
