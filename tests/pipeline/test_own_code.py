"""The code that runs is the code in the tree, and the baseline runs its own: in every kind of run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.core.yaml12 import parse
from assay.training.random_streams import Streams
from support.project import Project, environment
from support.weights import shapes


def perceptron(width: int) -> list[tuple[int, ...]]:
    """Sorted shapes of one hidden layer between 64 pixels and 10 classes."""
    return sorted([(width, 64), (width,), (10, width), (10,)])


def change_code(project: Project) -> None:
    """Other layer sizes."""
    project.edit("src/tasks/digits/learning.py", "nn.Linear(width, hidden), nn", "nn.Linear(width, 2 * hidden), nn")
    project.edit("src/tasks/digits/learning.py", "width = hidden", "width = 2 * hidden")


def check_arms(project: Project, seed: int) -> None:
    """The candidate ran the edits; the baseline, trained anew for this seed, ran what was accepted."""
    hidden = parse(project.read("params.yaml"))["model"]["hidden"]
    assert shapes(project, "candidate") == perceptron(2 * hidden)
    assert shapes(project, "baseline") == perceptron(hidden)
    drawn = {arm: [int(row["seed"]) for row in project.replicates(arm)] for arm in ("baseline", "candidate")}
    assert drawn["baseline"] == [Streams(seed, "baseline", number).display for number in range(3)]
    assert drawn["candidate"] == [Streams(seed, "candidate", number).display for number in range(3)]


def applied(project: Project, name: str) -> dict[str, object]:
    project.dvc("exp", "apply", name)
    return project.metrics


def experiments(project: Project) -> list[str]:
    return project.dvc("exp", "list", "--name-only").stdout.split()


def wait_for_queue(project: Project, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = project.dvc("queue", "status").stdout
        assert "Failed" not in status, status
        if "Queued" not in status and "Running" not in status:
            return
        time.sleep(1)
    pytest.fail(f"the queue did not finish:\n{status}")


@pytest.mark.extra
def test_queue(project: Project) -> None:
    change_code(project)
    project.dvc("exp", "run", "--queue", "--name", "queued", "-S", "seed=2")
    # What is edited later is no part of what was queued.
    project.git("checkout", "--", "src")
    before = project.git("status", "--porcelain")
    project.dvc("queue", "start")
    wait_for_queue(project)
    assert project.git("status", "--porcelain") == before, "a queued run must leave the workspace alone"
    assert applied(project, "queued")["n"] == 3
    check_arms(project, seed=2)


@pytest.mark.extra
def test_workspace_and_temp(project: Project) -> None:
    change_code(project)
    project.dvc("exp", "run", "-S", "seed=3")
    check_arms(project, seed=3)

    # Two at once: each its own folder, one store of trees and data between them.
    before = project.git("status", "--porcelain")
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp"]
    runs = [
        subprocess.Popen(
            [*command, "--name", f"temp{seed}", "-S", f"seed={seed}"],
            cwd=project.root,
            env=environment(project.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in (4, 5)
    ]
    said = [run.communicate()[0] for run in runs]
    for run, told in zip(runs, said, strict=True):
        if "Unable to acquire lock" in told:  # DVC's own, for which it waits some seconds: a loaded machine takes more
            run.returncode = subprocess.run(run.args, cwd=project.root, env=environment(project.home)).returncode
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    assert project.git("status", "--porcelain") == before, "a --temp run must leave the workspace alone"
    assert {"temp4", "temp5"} <= set(experiments(project))
    for seed in (4, 5):
        applied(project, f"temp{seed}")
        check_arms(project, seed)

    # The same stages, undisturbed and without DVC, give the same results to the last byte.
    project.git("add", "results", "plots")
    for stage in ("baseline", "train", "evaluate"):
        project.stage(stage)
    assert project.git("diff", "--stat", "--", "results", "plots") == ""

    # What else people do with experiments.
    project.dvc("exp", "branch", "temp4", "wider")
    kept = json.loads(project.git("show", "wider:results/metrics.json"))
    assert kept["n"] == 3
    assert "2 * hidden" in project.git("show", "wider:src/tasks/digits/learning.py")
    shown = json.loads(project.dvc("metrics", "diff", "--json", "HEAD", "wider").stdout)["results/metrics.json"]
    assert shown["verdict"]["old"] == "same" and shown["verdict"]["new"] == kept["verdict"]
    page = project.dvc("plots", "show").stdout.strip().removeprefix("file://")
    text = Path(page).read_text(encoding="utf-8")
    for plot in (
        "curves-candidate",
        "curves-baseline",
        "replicates.csv",
        "Smallest difference that matters",
        "confusion",
        "reliability",
    ):
        assert plot in text, f"{plot} is not on the page of dvc plots show"
    assert "dvc_plots" not in project.git("status", "--porcelain")
