"""Is the measured baseline fresh? `assay status` and `assay rebaseline` go by one list of reasons."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from gitproject import PARAMS, VERSION, Project, accepted, metrics

from assay.commands import guard_same_weights
from assay.commands.status import status
from assay.core import params_yaml, schemas
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Environment, Identity, Measurement, Part, Replicate
from assay.runtime import environment, library_fingerprint, stage_fingerprint
from assay.tags.strategy_events import CONTRACT, Remeasured, Seeds

LOCK = """\
schema: '2.0'
stages:
  baseline:
    params:
      params.yaml:
        profile: full
        replicates: 10
        seed: 1
"""
CONTENT = "c" * 32


def encoded(record: schemas.Record) -> str:
    return schemas.encode(record).decode()


@pytest.fixture
def measured(project: Project) -> Project:
    """strategy/adam was accepted with the replicates from 20000 on, and measured with them."""
    commit = project.commit({"dvc.lock": LOCK, ".gitignore": "arms\ncontext\ndata\n"})
    lines = params_yaml.lines(params_yaml.resolved(PARAMS.encode()))
    project.tag(accepted(commit, contract=CONTRACT, parameters=lines))
    training = library_fingerprint.fingerprints()[library_fingerprint.TRAINING]
    found = environment.find("auto", (), training)
    measurement = Measurement(
        identity=Identity(code="", parameters={}, data=""),
        purpose="confirmation",
        profile="full",
        replicates=[Replicate(20000 + k, k, "fused", False, 0.1, 1) for k in range(10)],
        left_out=0,
        nondeterministic=[],
        peak_memory=0,
        notes=[],
    )
    arm = Arm(
        arm="baseline",
        name="strategy/adam",
        commit=commit,
        experiment="",
        environment=found,
        evaluated=CONTENT,
        measurement=measurement,
        unproven=[],
    )
    layout = ProjectPaths(project.path)
    part = Part(part="validation", examples=1, content=CONTENT, arrays={})
    records = {layout.record("baseline"): arm, layout.environment: found, layout.manifest("validation"): part}
    files = {path.relative_to(project.path).as_posix(): encoded(record) for path, record in records.items()}
    project.commit({"params.yaml": PARAMS.replace("floor ", "strategy/adam "), "results/metrics.json": metrics()})
    project.write(files)
    return project


def stale(project: Project) -> list[str]:
    return [line.text for line in status(project.path).lines if "is stale" in line.text]


def test_as_it_was_measured(measured: Project) -> None:
    assert not stale(measured)


def test_a_ready_task_is_part_of_what_trains(measured: Project) -> None:
    """`context` writes down the library with what the task imports of it; status asks for the same."""
    task = params_yaml.resolved((measured.path / "params.yaml").read_bytes()).task.name
    measured.commit({"task.py": "from assay.ready.text import loss, model, prepare, preprocess, transform\n"})
    training = stage_fingerprint.library_of(measured.path, library_fingerprint.TRAINING, task)
    assert training != library_fingerprint.fingerprints()[library_fingerprint.TRAINING]
    layout = ProjectPaths(measured.path)
    for path, kind in ((layout.record("baseline"), Arm), (layout.environment, Environment)):
        text = schemas.decode(path.read_bytes(), kind, str(path), "")
        path.write_text(encoded(text).replace(_library(text), training), encoding="utf-8")
    assert not stale(measured)
    experiment = SimpleNamespace(commit="HEAD", arm=SimpleNamespace(environment=SimpleNamespace(packages=[])))
    assert guard_same_weights._today(layout, experiment).library == training, "assay guard asks for the same"


def _library(record: Arm | Environment) -> str:
    return (record.environment if isinstance(record, Arm) else record).library


def test_a_draw_that_another_clone_brought(measured: Project) -> None:
    """`git fetch` brought `remeasured/adam-1`: the next run trains the baseline again, so `status` says so."""
    commit = measured.git("rev-parse", "strategy/adam^{}")
    event = Remeasured(
        name="adam",
        sequence=2,
        commit=commit,
        why="another machine",
        strategy=measured.git("rev-parse", "strategy/adam"),
        seeds=Seeds(1, "confirmation", 10, 40000, 50000),
    )
    measured.tag(event)
    (text,) = stale(measured)
    assert text == "strategy/adam is stale: the last run used other seeds: confirmation → confirmation from 40000 on"


def test_what_params_yaml_asks_of_it(measured: Project) -> None:
    text = (measured.path / "params.yaml").read_text()
    measured.write({"params.yaml": text.replace("replicates: 10", "replicates: 20")})
    assert stale(measured) == ["strategy/adam is stale: replicates: 10 → 20"]


def test_a_tag_that_this_assay_would_run_otherwise(measured: Project) -> None:
    """`context` refuses it, and `status` says why before the run."""
    commit = measured.git("rev-parse", "strategy/adam^{}")
    measured.git("tag", "-d", "strategy/adam")
    measured.tag(accepted(commit, contract=CONTRACT, parameters=["lr: 0.5"], metric_version=VERSION))
    assert any("which read other parameters from its params.yaml" in line.text for line in status(measured.path).lines)
