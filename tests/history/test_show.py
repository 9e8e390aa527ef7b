"""`assay show`: a table that fits, whatever the names, and the experiments that run now."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from gitproject import PARAMS, metrics

from support.project import Project, environment

GOLDEN = """\
accuracy-1.5f3c9a2e against floor
name                    change              accuracy        delta [interval]            verdict
wide                    lr 0.02             0.9700 ±0.0040  +0.0300 [+0.0260, +0.0340]  progress
short                   epochs 5, learnin…  0.9700 ±0.0040  +0.0100 [+0.0060, +0.0140]  inconclusive
an-experiment-whose-n…  lr 0.5, epochs 5,…  0.9700 ±0.0040  -0.0400 [-0.0440, -0.0360]  regression

without numbers yet
name    change        metric  delta [interval]  verdict
broken                                          no verdict
"""


def tried(project) -> None:
    slower = PARAMS.replace("0.001 ", "0.02 ")
    several = PARAMS.replace("0.001 ", "0.5 ").replace("20", "5").replace("constant", "cosine")
    result = "results/metrics.json"
    longer = {"params.yaml": PARAMS.replace("20", "5"), "src/tasks/digits/learning.py": "x = 1\n"}
    project.experiment("short", {**longer, result: metrics(verdict="inconclusive", delta=0.01)})
    project.experiment("wide", {"params.yaml": slower, result: metrics(delta=0.03)})
    name = "an-experiment-whose-name-is-longer-than-anybody-reads"
    project.experiment(name, {"params.yaml": several, result: metrics(verdict="regression", delta=-0.04)})
    project.experiment("broken", {result: "{"})


def test_the_table(project, capsys) -> None:
    assert project.assay("show") == 0
    assert capsys.readouterr().out == "no experiment yet; next: dvc exp run\n"
    project.commit({"params.yaml": PARAMS})
    tried(project)
    assert project.assay("show") == 0
    said = capsys.readouterr().out.replace("−", "-")
    assert said == GOLDEN
    assert max(map(len, said.splitlines())) <= 100


def test_numbers_of_any_size_fit(project, capsys) -> None:
    project.commit({"params.yaml": PARAMS})
    for name, size in (("tiny", 1e-9), ("huge", 1.23456e12), ("one", 1.0)):
        project.experiment(name, {"results/metrics.json": metrics(mean=size, delta=size / 3, sd=size / 7)})
    assert project.assay("show") == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 100 and "1.235e+12 ±1.764e+11" in said and "1e-09" in said


def test_json(project, capsys) -> None:
    project.commit({"params.yaml": PARAMS})
    tried(project)
    assert project.assay("show", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in rows][:2] == ["wide", "short"]
    assert rows[0]["changed"] == ["lr 0.001 → 0.02"] and rows[0]["ci_low"] == pytest.approx(0.026)
    assert rows[3]["state"].startswith("no verdict: its results/metrics.json is damaged")


def test_a_run_that_dvc_notes_and_that_is_dead(project, capsys) -> None:
    """A killed run leaves its note behind; a note of another version of DVC is no reason to fail."""
    notes = project.path / ".dvc/tmp/exps/run"
    told = {"root_dir": str(project.path), "dvc_dir": ".dvc", "baseline_rev": project.head, "name": "dead", "status": 2}
    for name, text in (("workspace", json.dumps(told)), ("other", "[]"), ("half", '{"root_dir": ')):
        (notes / name).mkdir(parents=True)
        (notes / name / f"{name}.run").write_text(text, encoding="utf-8")
    assert project.assay("show") == 0
    assert capsys.readouterr().out == "no experiment yet; next: dvc exp run\n"


def test_the_queue(fresh: Project) -> None:
    """As DVC lays it down, in its order, with what each would change; what is no job of DVC's is none here."""
    fresh.dvc("exp", "run", "--queue", "--name", "wide", "-S", "lr=0.25")
    fresh.dvc("exp", "run", "--queue", "--name", "narrow", "-S", "model.hidden=3")
    folder = fresh.root / ".dvc/tmp/exps/celery/broker/in"
    (first, _) = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    told = json.loads(first.read_text(encoding="utf-8"))
    job = json.loads(base64.b64decode(told["body"]))
    job[0][0]["baseline_rev"] = "HEAD\n--output=x"
    hostile = json.dumps({**told, "body": base64.b64encode(json.dumps(job).encode()).decode()})
    for number, text in enumerate((hostile, "{", "[]", '{"body": "e30="}', json.dumps({**told, "body": 3}))):
        (folder / f"{number}.msg").write_text(text, encoding="utf-8")
    rows = json.loads(fresh.assay("show", "--json").stdout)["rows"]
    assert [(row["name"], row["state"], row["changed"]) for row in rows] == [
        ("wide", "queued", ["lr 0.003 → 0.25"]),
        ("narrow", "queued", ["model.hidden 128 → 3"]),
    ]
    said = fresh.assay("show").stdout.splitlines()
    assert said[0] == "without numbers yet"
    assert said[2].split() == ["wide", "lr", "0.25", "queued"]
    assert said[3].split() == ["narrow", "hidden", "3", "queued"]
    for number in range(5):  # which DVC cannot read either
        (folder / f"{number}.msg").unlink()
    fresh.dvc("queue", "remove", "--all")
    assert fresh.assay("show").stdout == "no experiment yet; next: dvc exp run\n"


def slow(project: Project) -> None:
    """Half a minute in `prepare`."""
    waiting = "    import time\n\n    time.sleep(30)\n    package = find"
    project.edit("src/tasks/digits/data.py", "    package = find", waiting)
    project.commit("slow")


@pytest.mark.extra
def test_a_job_of_the_queue_under_way(fresh: Project) -> None:
    """With the one behind it, which waits; neither is listed once they were stopped."""
    slow(fresh)
    for name, rate in (("one", "0.25"), ("two", "0.5")):
        fresh.dvc("exp", "run", "--queue", "--name", name, "-S", f"lr={rate}")
    fresh.dvc("queue", "start")
    try:
        deadline = time.monotonic() + 60
        rows: list[dict[str, object]] = []
        while time.monotonic() < deadline and not (rows and rows[0]["stage"] == "prepare"):
            rows = json.loads(fresh.assay("show", "--json").stdout)["rows"]
        assert [(row["name"], row["state"], row["changed"]) for row in rows] == [
            ("one", "running", ["lr 0.003 → 0.25"]),
            ("two", "queued", ["lr 0.003 → 0.5"]),
        ]
    finally:
        fresh.dvc("queue", "stop", "--kill")
        fresh.dvc("queue", "remove", "--queued")
    assert fresh.assay("show").stdout == "no experiment yet; next: dvc exp run\n"


@pytest.mark.extra
@pytest.mark.parametrize("where", [(), ("--temp",)])
def test_a_run_under_way(fresh: Project, where: tuple[str, ...]) -> None:
    slow(fresh)
    command = [sys.executable, "-m", "dvc", "exp", "run", *where, "--name", "slow", "-S", "lr=0.25"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(command, cwd=fresh.root, env=environment(fresh.home), start_new_session=True, **quiet)
    try:
        deadline = time.monotonic() + 60
        rows: list[dict[str, object]] = []
        while time.monotonic() < deadline and not (rows and rows[0]["stage"] == "prepare"):
            rows = json.loads(fresh.assay("show", "--json").stdout)["rows"]
        assert rows[0]["name"] == "slow" and rows[0]["state"] == "running"
        assert rows[0]["changed"] == ["lr 0.003 → 0.25"]
        assert "running: prepare" in fresh.assay("show").stdout
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert "running" not in fresh.assay("show").stdout
