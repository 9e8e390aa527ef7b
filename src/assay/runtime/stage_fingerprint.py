"""The code that a stage reaches: Assay's by a fingerprint, the user's own file by file, with what its metrics read.

`context` writes it down as `context/code-STAGE.json`, which the stage depends on; the stage compares that with the
sources that it is about to run. Covers: finding, comparing. Not covered: what Python really imported
(`runtime.tracked_code_check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import UNSET

from assay.core import schemas
from assay.core.errors import ProvenanceError
from assay.core.paths import ProjectPaths
from assay.core.schemas import StageCode
from assay.runtime import files, import_closure, library_fingerprint, metric_input_files, script_source, task_source
from assay.runtime import source_roots as trees

#: stage → module of the task that it imports
TASK_MODULES = {"prepare": "data", "train": "learning", "evaluate": "metrics"}


def reached(root: Path, stage: str, task: str, looked: import_closure.Looked | None = None) -> tuple[Path, ...]:
    """The user's own files that `stage` imports, relative to `root`."""
    if script := script_source.task(root):
        return script_source.closure(root, script) if stage == "train" else ()
    if stage not in TASK_MODULES:
        return ()
    entry = task_source.path(root, task, TASK_MODULES[stage])
    return import_closure.import_closure(root, [entry], looked) if entry.is_file() else ()


def find(root: Path, stage: str, task: str, looked: import_closure.Looked | None = None) -> StageCode:
    """The code of `stage` as it is now."""
    own = import_closure.code_hashes(root, reached(root, stage, task, looked))
    reads = metric_input_files.metric_reads(root, task) if TASK_MODULES.get(stage) == "metrics" else []
    contents = {path.as_posix(): files.digest((root / path).read_bytes()) for path in reads}
    return StageCode(stage=stage, library=library_fingerprint.fingerprints()[stage], files=own, reads=contents or UNSET)


def recorded(layout: ProjectPaths, stage: str) -> StageCode:
    """What `context` found. Raises UsageError where it did not run yet."""
    path, mend = layout.code(stage), f"dvc repro context {stage}"
    return schemas.decode(files.read_bytes(path, mend), StageCode, str(path), mend)


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
            f"{', '.join(changed[:3])} changed since the stage context looked", mend=f"dvc repro context {stage}"
        )
    return found
