"""The idea in `assay status`: what the work tree changes against the baseline, and whether one change explains it."""

from __future__ import annotations

from collections.abc import Iterator

from assay.baseline.accepted_strategy import FLOOR
from assay.changes import strategy_content
from assay.commands import status_baseline
from assay.commands.status_project import StatusProject
from assay.core.errors import AssayError
from assay.history import metrics_json
from assay.history.single_change_experiments import ablation, measured_alone
from assay.report.json_rows import StatusLine

TOPIC = "difference"


def lines(project: StatusProject) -> Iterator[StatusLine]:
    """Nothing for the floor, or a baseline that is not here."""
    params = project.params
    if params is None or params.baseline == FLOOR:
        return
    if commit := status_baseline.commit(project, params.baseline):
        yield _difference(project, params.baseline, commit, params.profile)


def _difference(project: StatusProject, name: str, commit: str, profile: str) -> StatusLine:
    root = project.layout.root
    try:
        before = strategy_content.in_commit(root, commit, profile)
        after = strategy_content.in_work_tree(root, profile)
    except AssayError as error:
        return StatusLine(topic=TOPIC, text=error.problem, hint=error.hint or "dvc exp run")
    found = after.since(before)
    if not found.bundled:
        return StatusLine(topic=TOPIC, text=str(found) if found.parts else f"the same strategy as {name}")
    version = metrics_json.text(project.metrics, "metric_version")
    if measured_alone(root, project.repository.experiments, version, before, after).issuperset(found.parts):
        return StatusLine(topic=TOPIC, text=f"{found}, each measured alone")
    return StatusLine(topic=TOPIC, text=str(found), hint=ablation(found))
