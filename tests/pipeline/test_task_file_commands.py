"""A task.py in a real project: what an edit runs again, and every command that reads a task's code."""

from __future__ import annotations

import re

import numpy as np
import pytest

from assay.serving.predict import Predictor
from support.project import CHECKOUT, Project
from support.stages import stages

PAGE = (CHECKOUT / "docs/tasks.md").read_text(encoding="utf-8")
TASK = next(text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "task.py" in text.split("\n")[0])
PARAMS = """lr: 0.02
replicates: 3
seed: 1
profile: full
baseline: floor
task: {}
data: {}
split: {validation: 0.2}
model: {hidden: 16}
train: {epochs: 20}
metric: {name: balanced}
profiles: {full: {}}
"""


def alone(project: Project, where: str = "task.py", task: str = TASK, params: str = PARAMS) -> Project:
    """`project` with a task of one file, as docs/tasks.md has it, in place of the digits."""
    project.git("rm", "-r", "--quiet", "src/tasks")
    file = project.root / where
    file.parent.mkdir(exist_ok=True)
    file.write_text(task, encoding="utf-8")
    pipeline = [line for line in project.read("dvc.yaml").split("\n") if "src/tasks/" not in line]
    (project.root / "dvc.yaml").write_text("\n".join(pipeline), encoding="utf-8")
    (project.root / "params.yaml").write_text(params, encoding="utf-8")
    project.commit("task.py")
    return project


def ran(said: str) -> set[str]:
    return {stage for stage, what in stages(said).items() if what == "ran"} - {"context", "verdict"}


def test_the_first_stage_takes_it_and_refuses_with_its_line(fresh: Project) -> None:
    project = alone(fresh, "src/task.py")
    project.stage("context")
    assert '"src/task.py": ' in project.read("context/code-prepare.json")
    project.edit("params.yaml", "data: {}", "data: {persons: 3}")
    done = project.stage("context", ok=False)
    assert done.returncode == 2 and re.search(
        r"unknown parameter 'data.persons'.* of task.py:\d+: prepare\(\)", done.stderr
    )


@pytest.mark.extra
def test_an_error_of_the_task_names_its_line(fresh: Project) -> None:
    project = alone(
        fresh, task=TASK.replace("    chance = np", "    raise OSError('no such scanner')\n    chance = np")
    )
    project.stage("context")
    done = project.stage("prepare", ok=False)
    line = TASK.split("\n").index(next(line for line in TASK.split("\n") if "chance = np" in line)) + 1
    assert done.returncode == 2 and f"the task failed at task.py:{line}: OSError: no such scanner" in done.stderr


@pytest.mark.extra
def test_a_day_with_it(fresh: Project) -> None:
    project = alone(fresh)
    everything = {"prepare", "split", "baseline", "train", "evaluate"}
    assert ran(project.dvc("exp", "run", "--name", "first").stdout) == everything
    assert project.metrics["verdict"] == "progress"
    key = str(project.metrics["metric_version"])
    project.assay("accept", "first", "small")
    project.dvc("exp", "run")

    # The metric: nothing is trained. The model: nothing is prepared. A comment: nothing at all.
    project.edit("task.py", "return float(np.mean(", "return float(1.0 * np.mean(")
    assert "evaluate last ran with another task.py" in project.assay("status", ok=False).stdout
    assert ran(project.dvc("exp", "run").stdout) == {"evaluate"}
    assert project.metrics["metric_version"] != key
    project.git("checkout", "--quiet", "--", "task.py")
    project.edit("task.py", "nn.Tanh()", "nn.ReLU()")
    assert ran(project.dvc("exp", "run", "--name", "relu").stdout) == {"train", "evaluate"}
    assert project.metrics["metric_version"] == key
    said = project.read("results/verdict.txt")
    assert "code: task.py +1 −1" in said, said
    project.edit("task.py", "def loss(", "# in nats\ndef loss(")
    assert "last ran with another" not in project.assay("status", ok=False).stdout

    # What reads a task's code elsewhere.
    assert "task.py" in project.assay("guard", ok=False).stdout
    project.git("checkout", "--quiet", "--", "task.py")
    project.dvc("repro", "--quiet")
    project.assay("rescore", "--dry-run")
    project.assay("export", "strategy/small", "--to", "out")
    assert Predictor(project.root / "out").predict(np.zeros((3, 2), dtype=np.float32)).shape == (3, 2)

    # A metric that changes in a commit of its own does not stand in the way of the next idea.
    project.git("checkout", "--quiet", "--", "task.py")
    project.edit("task.py", "return float(np.mean(", "return float(1.0 * np.mean(")
    project.commit("another metric")
    project.edit("task.py", "nn.Tanh()", "nn.SiLU()")
    project.dvc("exp", "run", "--temp", "--name", "silu")
    done = project.assay("accept", "silu", "silu", "--dry-run", ok=False)
    assert "metric of silu is not that" not in done.stderr, done.stderr
