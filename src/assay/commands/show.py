"""`assay show`: experiments with their numbers, those that run now, and those that wait in DVC's queue.

Covers: reading them in a few calls of Git however many there are; the order. Not covered: printing
(`report.experiment_table`).
"""

from __future__ import annotations

from pathlib import Path

from assay.baseline import baseline_param
from assay.changes.experiment_diffs import changes
from assay.core.errors import AssayError
from assay.core.metric_version import metric_name
from assay.core.paths import PARAMS
from assay.history import experiment_notes, metrics_json, queued_experiments, running_experiments
from assay.history.experiment_notes import Notes
from assay.history.experiments import Experiment, read
from assay.history.queued_experiments import QueuedExperiment
from assay.history.running_experiments import RunningExperiment
from assay.report.json_rows import ShowRow, ShowRows
from assay.runtime import project_root
from assay.runtime.git_objects import reading

DONE, RUNNING, QUEUED = "done", "running", "queued"


def show(start: Path) -> ShowRows:
    """The experiments of the project at `start`: under way and queued, against today's baseline, then the others."""
    root = project_root.find(start).root
    found, queued = read(root).experiments, queued_experiments.find(root)
    with reading(root) as objects:
        pairs = [*((one.base, one.commit) for one in found), *((one.base, one.commit) for one in queued)]
        compared = changes(root, pairs, objects)
    changed = {commit: one.parts for commit, one in compared.items()}
    notes = experiment_notes.read(root)
    rows = [_row(item, changed.get(item.commit, []), notes) for item in found]
    today = _baseline(root)
    rows.sort(key=lambda row: _place(row, today))
    running = [_running(one) for one in running_experiments.find(root)]
    waiting = [_queued(one, changed.get(one.commit, [])) for one in queued]
    names = {row.name for row in running}
    return ShowRows(rows=[*running, *waiting, *(row for row in rows if row.name not in names)])


def _place(row: ShowRow, today: str) -> tuple[bool, bool, str, str, float, str]:
    """What rows are ordered by: those without numbers stand last."""
    bare = not row.metric_version
    return bare, row.baseline != today, row.baseline, row.metric_version, -(row.delta or 0.0), row.name


def _baseline(root: Path) -> str:
    try:
        return baseline_param.baseline((root / PARAMS).read_bytes())
    except (OSError, AssayError):
        return ""


def _row(item: Experiment, changed: list[str], notes: Notes) -> ShowRow:
    version = metrics_json.text(item.metrics, "metric_version")
    candidate = metrics_json.candidate(item.metrics)
    verdict = metrics_json.text(item.metrics, "verdict")
    return ShowRow(
        name=item.name,
        changed=changed,
        metric=metric_name(version),
        mean=candidate.mean,
        sd=candidate.sd,
        n=candidate.n or None,
        delta=metrics_json.number(item.metrics, "delta"),
        ci_low=metrics_json.number(item.metrics, "ci_low"),
        ci_high=metrics_json.number(item.metrics, "ci_high"),
        verdict=verdict,
        baseline=item.baseline,
        metric_version=version,
        state=DONE if verdict else f"no verdict: {item.problem or 'none in its metrics'}",
        why=item.why,
        notes=[one.line for one in notes.get(item.commit, ())],
    )


def _running(one: RunningExperiment) -> ShowRow:
    return ShowRow(name=one.name, changed=one.changed, state=RUNNING, stage=one.stage)


def _queued(one: QueuedExperiment, changed: list[str]) -> ShowRow:
    return ShowRow(name=one.name, changed=changed, state=QUEUED)
