"""Experiments and tags in `assay status`: those without a verdict, those that nobody can verify."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from assay.commands.status_project import StatusProject, few
from assay.history import metrics_json
from assay.report.json_rows import StatusLine


def lines(project: StatusProject) -> Iterator[StatusLine]:
    experiments = project.repository.experiments
    without = [item.name for item in experiments if not metrics_json.text(item.metrics, "verdict")]
    if without:
        hint = f"dvc exp remove {shlex.join(without[:5])}"
        yield StatusLine(topic="experiments", text=f"{len(without)} without a verdict: {few(without)}", hint=hint)
    elif experiments:
        yield StatusLine(topic="experiments", text=f"{len(experiments)}, each with a verdict")
    for tag in project.state.unverifiable:
        text = f"{tag.name} is not verifiable: {tag.problem}"
        yield StatusLine(topic="tags", text=text, hint=f"git show {shlex.quote(tag.name)}")
