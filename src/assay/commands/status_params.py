"""Parameters in `assay status`: whether they can be read."""

from __future__ import annotations

from collections.abc import Iterator

from assay.commands.status_project import StatusProject
from assay.report.json_rows import StatusLine


def lines(project: StatusProject) -> Iterator[StatusLine]:
    if (error := project.refused) is not None:
        yield StatusLine(topic="parameters", text=error.problem, hint=error.hint or "git diff params.yaml")
