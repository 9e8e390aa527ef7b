"""A task that the user has written already: task.py, or a folder of tasks/, by its sources alone."""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.project_setup import templates
from assay.runtime import source_roots, task_source


def find(folder: Path) -> tuple[str, str, str] | None:
    """Name, file and first metric of the task for a project in `folder`; None where there is none that can be read."""
    single = task_source.single(folder)
    if single and templates.is_ours((folder / single).read_bytes()):
        return None  # written by an `assay init` that was interrupted
    names = ["task"] if single else _folders(folder)
    for name in names:
        try:
            task_source.read(folder, name, "data")
            metrics = task_source.metrics(task_source.read(folder, name, "metrics")) or {}
        except UsageError:
            continue
        if metrics:
            return name, task_source.where(folder, name, "data"), next(iter(metrics))
    return None


def _folders(folder: Path) -> list[str]:
    """Names of tasks that have a folder."""
    places = (folder / place / "tasks" for place in source_roots.project(folder).folders)
    return sorted({file.parent.name for place in places for file in place.glob("*/data.py")})
