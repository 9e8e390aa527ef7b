"""Code in `assay status`: what training imports and Git does not track."""

from __future__ import annotations

from collections.abc import Iterator

from assay.changes import strategy_content
from assay.commands.status_project import StatusProject
from assay.report.json_rows import StatusLine
from assay.runtime.git_commit_hint import commit_command, named


def lines(project: StatusProject) -> Iterator[StatusLine]:
    if project.params is None:
        return
    root = project.layout.root
    if untracked := strategy_content.untracked(root, project.params.task.name):
        text = f"{named(untracked)} imported, but not tracked by Git"
        yield StatusLine(topic="code", text=text, hint=commit_command(root, untracked))
