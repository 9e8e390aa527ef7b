"""The baseline in `assay status`: whether it is here, and what its tag says."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from assay.baseline.accepted_strategy import FLOOR
from assay.commands import baseline_staleness
from assay.commands.status_project import StatusProject, number
from assay.core import reported_key
from assay.core.params_yaml import Params
from assay.report.json_rows import StatusLine
from assay.runtime import git


def lines(project: StatusProject) -> Iterator[StatusLine]:
    if project.params is not None:
        yield _baseline(project, project.params)


def commit(project: StatusProject, name: str) -> str | None:
    """The commit that `baseline: name` means in this repository."""
    root = project.layout.root
    return git.resolve(root, f"refs/tags/{name}") or git.resolve(root, name)


def _baseline(project: StatusProject, params: Params) -> StatusLine:
    name = params.baseline
    if name == FLOOR:
        newest = project.state.current
        hint = f"set baseline: {newest.tag.name} in params.yaml" if newest else ""
        return StatusLine(topic="baseline", text="floor" if newest else "floor: nothing is accepted", hint=hint)
    if commit(project, name) is not None:
        return _evidence(project, params)
    shallow = git.run(project.layout.root, "rev-parse", "--is-shallow-repository", check=False) == "true"
    hint = "git fetch --unshallow --tags" if shallow else "git fetch --tags"
    return StatusLine(topic="baseline", text=f"{name} is not in this repository", hint=hint)


def _evidence(project: StatusProject, params: Params) -> StatusLine:
    name, strategy = params.baseline, project.baseline
    bad = next((tag for tag in project.state.unverifiable if tag.name == name), None)
    if bad is not None:
        return StatusLine(
            topic="baseline", text=f"{name} is not verifiable: {bad.problem}", hint=f"git show {quote(name)}"
        )
    if strategy is None:
        return StatusLine(topic="baseline", text=f"{name}, which is no accepted strategy")
    accepted = strategy.accepted
    if strategy.revoked is not None:
        hint = f'assay revoke {accepted.name} --why "finish moving the baseline"'
        return StatusLine(topic="baseline", text=f"{name} is revoked", hint=hint)
    score = accepted.confirmation.candidate
    metric = reported_key.label(accepted.metric, accepted.metric_version)
    text = f"{name} · {metric} {number(score.mean)} ±{number(score.sd)} (n={score.n})"
    text += f" · accepted {strategy.tag.stamp.date} by {strategy.tag.stamp.author}"
    old = baseline_staleness.age(strategy, params.judge.baseline_max_age)
    return StatusLine(topic="baseline", text=f"{text}; {old}" if old else text, hint="assay rebaseline" if old else "")
