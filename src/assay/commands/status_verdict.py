"""The verdict in `assay status`: what the results in the work tree say."""

from __future__ import annotations

from collections.abc import Iterator

from assay.commands.status_project import StatusProject, number
from assay.core import reported_key
from assay.core.metric_version import metric_name
from assay.history import fidelity_certificates, metrics_json, profile_groups
from assay.report.json_rows import StatusLine


def lines(project: StatusProject) -> Iterator[StatusLine]:
    metrics, equal = project.metrics, project.equal
    if not project.layout.metrics.is_file():
        yield StatusLine(topic="verdict", text="no results in the work tree", hint="dvc exp run")
        return
    comparison = metrics_json.comparison(metrics)
    if comparison is None:
        problem = project.unreadable
        text = f"the results have no verdict: {problem}" if problem else "the results have no verdict"
        yield StatusLine(topic="verdict", text=text, hint="dvc exp run")
        return
    version = metrics_json.text(metrics, "metric_version")
    score = comparison.candidate
    named = f"{comparison.verdict} · {reported_key.label(metric_name(version), version)}"
    text = f"{named} {number(score.mean)} ±{number(score.sd)} (n={score.n})"
    if comparison.delta is not None and comparison.ci_low is not None and comparison.ci_high is not None:
        text += f" · {comparison.delta:+.4f} [{comparison.ci_low:+.4f}, {comparison.ci_high:+.4f}]"
    where = f" · equals experiment {equal.name}" if equal else ""
    yield StatusLine(topic="verdict", text=f"{text} · {version}{where}")
    profile = metrics_json.text(metrics, "profile")
    if profile not in ("", profile_groups.FULL):
        home = project.layout.root
        told = fidelity_certificates.told(home, profile_groups.of_work_tree(project.layout, home), profile)
        what, _, hint = told.partition("; next: ")
        yield StatusLine(topic="verdict", text=f"measured under profile {profile}", hint="dvc exp run -S profile=full")
        yield StatusLine(topic="verdict", text=what, hint=hint)
