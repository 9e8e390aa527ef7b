"""Tags that today's library would not run as they were accepted: refused by name, before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitproject import PARAMS, Project, accepted

from assay.baseline import accepted_strategy as strategies
from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.runtime.dvc_yaml import Run
from assay.tags.strategy_events import CONTRACT

FULL = PARAMS + "profiles: {full: {}}\n"


def resolve(project: Project) -> strategies.AcceptedStrategy:
    return strategies.resolve(Run(ProjectPaths(project.path), Path(project.path), ""), "strategy/adam")


def tagged(project: Project, **changes: object) -> None:
    commit = project.commit({"params.yaml": FULL, "dvc.lock": "schema: '2.0'\n"}, "accept")
    known = {
        "contract": CONTRACT,
        "library": "0.1.0",
        "parameters": params_yaml.lines(params_yaml.resolved(FULL.encode())),
    }
    project.tag(accepted(commit, **{**known, **changes}))


def test_what_its_tag_says_goes_with_it(project: Project) -> None:
    tagged(project, fingerprint="abc")
    found = resolve(project)
    assert (found.purpose, found.first, found.library, found.fingerprint) == ("confirmation", 20000, "0.1.0", "abc")
    assert found.then is not None and found.then.mean == 0.9712


def test_a_tag_from_before_there_was_a_contract_names_the_way_back(project: Project) -> None:
    tagged(project, contract=0, library="", parameters=[])
    with pytest.raises(UsageError) as found:
        resolve(project)
    assert found.value.problem == "baseline strategy/adam was accepted under none: it ran a library of its own"
    assert found.value.hint.startswith("git checkout strategy/adam -- params.yaml src/tasks, ")
    assert found.value.hint.endswith("assay accept again NEW-NAME") and "\n" not in found.value.sentence


def test_parameters_that_read_otherwise_today_are_named(project: Project) -> None:
    lines = params_yaml.lines(params_yaml.resolved(FULL.encode()))
    other = [line.replace("train.momentum: 0.0", "train.momentum: 0.9") for line in lines]
    assert other != lines
    tagged(project, parameters=other)
    with pytest.raises(UsageError, match=r"train\.momentum was 0\.9, is 0\.0") as found:
        resolve(project)
    assert "lr" not in found.value.problem and "pip install dvc-assay==0.1.0" in found.value.hint
