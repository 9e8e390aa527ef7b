"""A loop of the task's own in the stages: its curves, its log, the user's error and its exit code."""

from __future__ import annotations

import csv
import os

import pytest

from support.project import Project

LOOP = """

def fit(params, data, seed, log):
    import os, subprocess
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, data.outputs))
    for epoch in range(3):
        log(epoch, loss=1 / (epoch + 1), f1=epoch)
    print("process", os.getpid(), os.environ["MY_TOKEN"])
    if os.environ.get("FAIL"):
        raise KeyError("of the user")
    return module
"""


@pytest.mark.extra
def test_a_loop_in_the_stages(project: Project) -> None:
    path = project.root / "src/tasks/digits/learning.py"
    path.write_text(path.read_text(encoding="utf-8") + LOOP, encoding="utf-8")
    project.commit("own loop")
    project.stage("context")
    secret = {"MY_TOKEN": "s3cret-s3cret"}
    failed = project.assay("stage", "train", ok=False, FAIL="yes", **secret)
    assert failed.returncode == 2 and failed.stdout == ""
    line = path.read_text(encoding="utf-8").partition("raise KeyError")[0].count("\n") + 1
    assert f"fit() fails with KeyError: 'of the user' at src/tasks/digits/learning.py:{line}" in failed.stderr
    assert "Traceback" not in failed.stderr
    log = project.read("results/candidate.log")
    assert "replicate 0 | Traceback" in log and "s3cret" not in log and "***" in log
    done = project.assay("stage", "train", **secret)
    log = project.read("results/candidate.log")
    pids = [line.split()[4] for line in log.splitlines() if " | process " in line]
    assert len(set(pids)) == 3 and str(os.getpid()) not in pids and "cannot" not in done.stderr
    with (project.root / "plots/curves-candidate.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"] * 3 and rows[2]["f1"] == "2"
