"""Which changes experiments made alone: the same answer as parsing everything, in a few processes for any number."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from gitproject import PARAMS, Project, metrics

from assay.changes import baseline_diff
from assay.history import single_change_experiments
from assay.history.experiments import read
from assay.history.single_change_experiments import measured_alone

CODE = "src/tasks/digits/learning.py"
VERSION = "accuracy-1.5f3c9a2e"
EDITS = {
    "lr": ("lr: 0.001 ", "lr: 0.01 "),
    "lr written otherwise": ("lr: 0.001 ", "lr: 1e-2 "),
    "lr as it was": ("lr: 0.001 ", "lr: 1.0e-3 "),
    "another lr": ("lr: 0.001 ", "lr: 0.02 "),
    "epochs": ("epochs: 20", "epochs: 30"),
    "a section on one line": ("train:\n  epochs: 20\n  schedule: constant", "train: {epochs: 30, schedule: constant}"),
    "no epochs": ("  epochs: 20\n", ""),
    "text": ("schedule: constant", "schedule: cosine"),
    "two": ("epochs: 20\n  schedule: constant", "epochs: 30\n  schedule: cosine"),
    "a comment": ("# step size", "# the step"),
    "a profile": ("profile: full", "profiles: {full: {train: {epochs: 30}}}\nprofile: full"),
    "an anchor": ("lr: 0.001 ", "lr: &a 0.01 "),
    "not valid": ("lr: 0.001", "lr: ["),
    "judge": ("metric:", "judge: {alpha: 0.04}\nmetric:"),
}
WANTED = ["lr: 0.001 → 0.01", "train.epochs: 20 → 30", "train.schedule: constant → cosine", "code: src/code.py"]


@pytest.mark.parametrize(("old", "new"), EDITS.values(), ids=EDITS)
def test_what_is_not_parsed_could_not_have_mattered(old: str, new: str) -> None:
    before, after = PARAMS.encode(), PARAMS.replace(old, new).encode()
    assert before != after
    try:
        found = baseline_diff.between(before, after)
    except Exception:
        found = []
    expected = found if len(found) == 1 and found[0] in WANTED else []
    assert single_change_experiments._alone(before, after, WANTED[:3]) == expected


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
    found = measured_alone(project.path, repository.experiments, project.head, VERSION, WANTED)
    assert found == {"lr: 0.001 → 0.01"}
    assert len(log.read_text()) <= 4
