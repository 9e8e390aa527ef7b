"""`assay status`: what is clean, stale, unproven or left over, and the command that corrects it.

Reads params.yaml, results, dvc.lock and Git; never starts DVC and changes nothing. Each finding is one
line; a line that names something wrong ends with its hint. Not covered: printing (`report.status_text`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from assay.commands import (
    status_baseline,
    status_difference,
    status_experiments,
    status_library,
    status_looks,
    status_params,
    status_programs,
    status_project,
    status_remote,
    status_runs,
    status_staleness,
    status_untracked,
    status_verdict,
    status_work_tree,
)
from assay.commands.status_project import StatusProject
from assay.report.json_rows import Status, StatusLine

#: what looks at the project, each at one thing, in the order of the lines
CHECKERS: tuple[Callable[[StatusProject], Iterator[StatusLine]], ...] = (
    status_params.lines,
    status_baseline.lines,
    status_difference.lines,
    status_staleness.lines,
    status_library.lines,
    status_untracked.lines,
    status_verdict.lines,
    status_work_tree.lines,
    status_runs.lines,
    status_experiments.lines,
    status_remote.lines,
    status_looks.lines,
    status_programs.lines,
)


def status(start: Path) -> Status:
    """All findings about the project at `start`."""
    project = status_project.look(start)
    found = [line for checker in CHECKERS for line in checker(project)]
    return Status(healthy=all(line.healthy for line in found), lines=found)
