"""The measured baseline in `assay status`: whether it is as today's tag, environment, parameters and examples ask for.

Which packages count is what the last run knew. Its age stands with its evidence (`commands.status_baseline`).
"""

from __future__ import annotations

from collections.abc import Iterator

from assay.baseline import accepted_strategy, candidate_seeds
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.commands import baseline_staleness, status_baseline, status_library
from assay.commands.baseline_staleness import AskedBaseline, Stale
from assay.commands.status_project import StatusProject
from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.schemas import Environment
from assay.report.json_rows import StatusLine
from assay.runtime import dvc_yaml, environment, files

TOPIC = "baseline"


def lines(project: StatusProject) -> Iterator[StatusLine]:
    """Nothing for the floor, which every run measures anew, and before the first run."""
    params, layout = project.params, project.layout
    measured = layout.record("baseline").is_file()
    if params is None or params.baseline == FLOOR or project.accepted or not measured:
        return
    if status_baseline.commit(project, params.baseline) is None:  # which is a line already
        return
    try:
        arm, asked = baseline_staleness.record(layout), _asked(project, params)
        found = [one.text for one in baseline_staleness.reasons(layout, arm, asked) if one.what is not Stale.AGE]
    except AssayError as error:
        yield StatusLine(topic=TOPIC, text=error.problem, hint=error.hint or "dvc exp run")
        return
    if found:
        yield StatusLine(topic=TOPIC, text=f"{params.baseline} is stale: {'; '.join(found)}", hint="dvc exp run")


def _asked(project: StatusProject, params: Params) -> AskedBaseline:
    path = project.layout.environment
    known = schemas.decode(files.read_bytes(path), Environment, str(path), "dvc exp run")
    if params.is_script:  # its interpreter is asked by a run alone
        return AskedBaseline(_named(project, params), params, known, project.baseline)
    training = status_library.training(project.layout.root, params.task.name)
    found = environment.find(params.machine.device, known.packages, training, params.machine.devices)
    today = environment.asked(found, params)
    return AskedBaseline(_named(project, params), params, today, project.baseline)


def _named(project: StatusProject, params: Params) -> AcceptedStrategy:
    """The baseline with the replicates that it stands with, as `context` would write it."""
    run = dvc_yaml.current(project.layout.root)
    named = accepted_strategy.resolve(run, params.baseline)
    return candidate_seeds.of_baseline(named, candidate_seeds.of_candidates(run.home, named, params.judge.test))
