"""Which changes experiments made alone, in a few processes for any number of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from gitproject import PARAMS, VERSION, Project, metrics

from assay.changes.strategy_content import StrategyContent
from assay.core import params_yaml
from assay.history.experiments import read
from assay.history.single_change_experiments import measured_alone

CODE = "src/tasks/digits/learning.py"
BEFORE = StrategyContent(params_yaml.strategy(params_yaml.resolved(PARAMS.encode())), {CODE: "x = 1\n"})
WANTED = PARAMS.replace("lr: 0.001 ", "lr: 0.01 ").replace("epochs: 20", "epochs: 30").replace("constant", "cosine")
AFTER = StrategyContent(params_yaml.strategy(params_yaml.resolved(WANTED.encode())), {CODE: "x = 3\n"})
#: old → new in params.yaml, and the change that is found alone
EDITS = {
    "lr": ("lr: 0.001 ", "lr: 0.01 ", "lr 0.001 → 0.01"),
    "lr written otherwise": ("lr: 0.001 ", "lr: 1e-2 ", "lr 0.001 → 0.01"),
    "lr as it was": ("lr: 0.001 ", "lr: 1.0e-3 ", ""),
    "another lr": ("lr: 0.001 ", "lr: 0.02 ", ""),
    "epochs": ("epochs: 20", "epochs: 30", "train.epochs 20 → 30"),
    "a section on one line": (
        "train:\n  epochs: 20\n  schedule: constant",
        "train: {epochs: 30, schedule: constant}",
        "train.epochs 20 → 30",
    ),
    "text": ("schedule: constant", "schedule: cosine", "train.schedule constant → cosine"),
    "two": ("epochs: 20\n  schedule: constant", "epochs: 30\n  schedule: cosine", ""),
    "a comment": ("# step size", "# the step", ""),
    "a profile": (
        "profile: full",
        "profiles: {full: {train: {epochs: 30}}}\nprofile: full",
        "train.epochs 20 → 30",
    ),
    "an anchor": ("lr: 0.001 ", "lr: &a 0.01 ", "lr 0.001 → 0.01"),
    "not valid": ("lr: 0.001", "lr: [", ""),
    "judge": ("metric:", "judge: {alpha: 0.04}\nmetric:", ""),
}


def found(project: Project) -> set[str]:
    return measured_alone(project.path, read(project.path).experiments, VERSION, BEFORE, AFTER)


@pytest.mark.parametrize(("old", "new", "alone"), EDITS.values(), ids=EDITS)
def test_one_parameter_of_the_baseline(project: Project, old: str, new: str, alone: str) -> None:
    assert PARAMS.replace(old, new) != PARAMS
    edited = {"params.yaml": PARAMS.replace(old, new), "results/metrics.json": metrics()}
    project.experiment("tried", {**edited, CODE: "x = 1  # why\n"})
    assert found(project) == ({alone} if alone else set())
    project.experiment("tried", {**edited, CODE: "x = 2\n"})
    assert not found(project), "its code is neither the baseline's nor the candidate's"


def test_a_few_processes_for_any_number_of_experiments(project: Project, tmp_path: Path, monkeypatch) -> None:
    project.commit({CODE: "x = 1\n"})
    for number in range(40):
        edited = PARAMS.replace("lr: 0.001 ", f"lr: 0.01{number} ")
        project.experiment(f"e{number}", {"params.yaml": edited, "results/metrics.json": metrics()})
    good = PARAMS.replace("lr: 0.001 ", "lr: 0.01 ")
    longer = PARAMS.replace("epochs: 20", "epochs: 30")
    project.experiment("good", {"params.yaml": good, "results/metrics.json": metrics()})
    project.experiment("coded", {"params.yaml": longer, CODE: "x = 2\n", "results/metrics.json": metrics()})
    project.experiment("other", {"params.yaml": longer, "results/metrics.json": metrics(version="accuracy-2.00000000")})
    log, wrapper = tmp_path / "log", tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = next(Path(folder, "git") for folder in os.environ["PATH"].split(os.pathsep) if Path(folder, "git").exists())
    wrapper.write_text(f"#!{sys.executable}\nimport os, sys\nopen({str(log)!r}, 'a').write('x')\n"
                       f"os.execv({str(real)!r}, ['git', *sys.argv[1:]])\n")  # fmt: skip
    wrapper.chmod(0o755)
    repository = read(project.path)
    monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    alone = measured_alone(project.path, repository.experiments, VERSION, BEFORE, AFTER)
    assert alone == {"lr 0.001 → 0.01"}
    assert len(log.read_text()) <= 4
