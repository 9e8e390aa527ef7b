"""The key of a number that a script reports: over `task.result` and the files of `task.ruler`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.core import reported_key
from assay.core.params_yaml import Params
from assay.core.task_section import TaskSection
from assay.runtime import files, import_closure, script_source


def version(root: Path, params: Params) -> str:
    """The key of the number that the script of the tree at `root` reports."""
    task = params.task
    ruler = script_source.ruler(root, task)
    content = [result_digest(task), import_closure.code_hash(root, ruler) if ruler else ""]
    digest = files.digest(msgspec.json.encode(content))
    return reported_key.key(params.metric.name, task.reported.revision if ruler else 0, digest)


def result_digest(task: TaskSection) -> str:
    """Hash over what `task.result` says is measured; the smallest effect that matters is no part of that."""
    result = task.reported
    return files.digest(msgspec.json.encode([result.file, result.key, result.direction, result.worst]))
