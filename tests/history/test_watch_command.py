"""`assay watch` beside stages at work: what it finds, how it ends, and that it touches nothing.

The stages here are processes that do nothing but have the command line of one; real runs are in
`tests/pipeline/test_watched_runs.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from gitproject import PARAMS

from assay.cli import watch_run
from assay.commands import watch_run as commands
from assay.commands.watch_run import ProjectWatch
from assay.core.paths import ProjectPaths

HEADER = "replicate,seed,epoch,train_loss,validation_loss\n"


@contextmanager
def process(folder: Path, name: str, *words: str, **told: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in `folder` whose command line is that of a program called `name`."""
    program = folder.parent / "fake" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text("import time\nprint(flush=True)\ntime.sleep(60)\n", encoding="utf-8")
    command = [sys.executable, str(program), *words]
    environment = {**os.environ, **told}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as found:
        try:
            assert found.stdout is not None and found.stdout.readline() == b"\n"
            yield found
        finally:
            found.kill()


def stage(folder: Path, name: str, **told: str):
    return process(folder, "__main__.py", "stage", name, **told)


def note(root: Path, name: str, folder: Path, base: str, location: str = "workspace") -> Path:
    """DVC's note about a run that has begun; DVC leaves it like this when the run has ended."""
    told = {"root_dir": str(folder), "dvc_dir": ".dvc", "baseline_rev": base, "name": name, "status": 1}
    path = root / ".dvc/tmp/exps/run" / name / f"{name}.run"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**told, "location": location}), encoding="utf-8")
    return path


@pytest.fixture
def training(project):
    """A project whose candidate trains: two epochs of the first of two replicates."""
    root = project.path
    project.write({"dvc.yaml": "stages:\n  train:\n    cmd: assay stage train\n"})
    project.commit({"params.yaml": PARAMS.replace("replicates: 10", "replicates: 2")}, "stages")
    project.write({"params.yaml": (root / "params.yaml").read_text().replace("0.001 ", "0.02 ")})
    (root / ".dvc").mkdir(exist_ok=True)
    layout = ProjectPaths(root)
    for path, text in (
        (layout.curves("candidate"), f"{HEADER}0,7,1,0.9,0.8\n0,7,2,0.6,0.5\n0,7,3,0.5"),
        (layout.log("candidate"), "epoch 2: 12.5 % of the time waiting for data\n"),
        (layout.curves("baseline"), f"{HEADER}0,9,1,5,5\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return project


def states(root: Path) -> Mapping[str, tuple[int, int]]:
    """All files, their times and sizes."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*") if path.name != "fake"
    }


def test_nothing_runs(project, capsys) -> None:
    assert project.assay("watch") == 0
    assert capsys.readouterr().out == "nothing runs here; next: dvc exp run\n"
    assert project.assay("watch", "--json-lines") == 0
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["next"], event["schema"]) == ("idle", "dvc exp run", 1)


def test_a_stage_at_work(training, capsys) -> None:
    root = training.path
    note(root, "wide", root, training.head)
    told = {"DVC_ROOT": str(root), "DVC_EXP_NAME": "wide"}
    with stage(root, "train", **told), stage(root.parent, "train", DVC_ROOT=str(root.parent)):
        before = states(root)
        assert training.assay("watch", "--once") == 0
        said = capsys.readouterr().out
        assert said.startswith("wide: stage train, ") and "\n  lr 0.001 → 0.02\n" in said
        assert "  candidate: 0 of 2 replicates, epoch 2 of 20" in said
        assert "    0     epoch 2  train 0.6  validation 0.5  █▁\n    … and 1 more: 1 waiting" in said
        assert "% of the time waiting for data" in said and " of memory" in said
        assert "  baseline floor: nothing to train" in said, "what lies there is of another run"
        assert states(root) == before


def test_ctrl_c_ends_the_watching_and_not_the_run(training) -> None:
    root = training.path
    command = [sys.executable, "-m", "assay", "watch", "--json-lines"]
    with stage(root, "train", DVC_EXP_NAME="wide") as run:
        before = states(root)
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
            assert watch.stdout is not None
            events = [json.loads(watch.stdout.readline()) for _ in range(4)]
            watch.send_signal(signal.SIGINT)
            _, said = watch.communicate(timeout=20)
        assert watch.returncode == 130 and not said.strip()
        assert run.poll() is None and states(root) == before
    assert [one["event"] for one in events] == ["stage", "epoch", "epoch", "progress"]
    assert events[2] | {"time": 0} == {
        "schema": 1,
        "time": 0,
        "event": "epoch",
        "experiment": "wide",
        "arm": "candidate",
        "replicate": 0,
        "seed": 7,
        "epoch": 2.0,
        "train_loss": 0.6,
        "validation_loss": 0.5,
    }
    assert events[3]["arms"][1]["data_wait"] == 0.125


def test_a_run_from_its_stages_to_its_end(training, monkeypatch) -> None:
    """Between train and evaluate the arm is done, and told once; then the run ends with its verdict."""
    root = training.path
    curves = ProjectPaths(root).curves("candidate")
    watch = ProjectWatch(root)
    with stage(root, "train", DVC_EXP_NAME="wide"):
        found = watch.look().runs[0]
        assert [arm.state for arm in found.arms] == ["done", "training"] and len(found.arms[1].new) == 2
        with curves.open("a") as stream:
            stream.write(",0.4\n")
        assert [one.epoch for one in watch.look().runs[0].arms[1].new] == [3]
    content = curves.read_bytes()
    curves.unlink()
    between = watch.look().runs[0]
    assert between.stage == "" and between.arms[1].state == "done"
    assert between.arms[1].replicates[0].epoch == 3, "gone for a moment: DVC moves it into its cache"
    curves.write_bytes(content)
    assert watch.look().runs[0].arms[1].new == (), "what was told is not told again"
    monkeypatch.setattr(commands, "GRACE", 0.0)
    training.experiment(
        "wide",
        {
            "results/metrics.json": json.dumps(
                {
                    "schema": 1,
                    "verdict": "progress",
                    "metric_version": "accuracy-1.5f3c9a2e",
                    "accuracy": 0.9,
                    "delta": 0.1,
                }
            )
        },
    )
    time.sleep(0.01)
    with curves.open("a") as stream:
        stream.write("1,8,1,0.7,0.6\n")
    look = watch.look()
    assert look.is_idle and look.working == [], "what ended is shown no more"
    assert [point.replicate for point in look.runs[0].arms[1].new] == [1], "written last, and told before the end"
    assert [(one.experiment, one.row.verdict, one.row.mean) for one in look.ended] == [("wide", "progress", 0.9)]
    assert watch.look().is_idle


def test_nothing_is_drawn_below_a_verdict(training, monkeypatch) -> None:
    """Under load DVC tidies up for seconds after its last stage."""
    monkeypatch.setattr(commands, "GRACE", 0.0)
    drawn: list[str] = []

    def redraw(text: str, lines: int, *, keep: bool = False) -> int:
        drawn.append(text)
        return 0 if keep or not text else text.count("\n") + 1

    monkeypatch.setattr(watch_run, "redraw", redraw)
    root, screen, watch = training.path, watch_run._ScreenOutput(), ProjectWatch(training.path)
    metrics = {"schema": 1, "verdict": "progress", "metric_version": "accuracy-1.5f3c9a2e", "accuracy": 0.9}
    with process(root, "dvc", "exp", "run"):
        screen.take(watch.look(), once=False)
        with stage(root, "train", DVC_EXP_NAME="wide"):
            screen.take(watch.look(), once=False)
        training.experiment("wide", {"results/metrics.json": json.dumps(metrics)})
        for _ in range(3):
            time.sleep(0.01)
            screen.take(watch.look(), once=False)
    screen.take(watch.look(), once=False)
    assert drawn[0] == "dvc exp run is at work; no stage runs now" and drawn[1].startswith("wide: stage train")
    assert drawn[2:] == ["wide: progress  accuracy 0.9000; next: assay report wide"]


def test_what_dvc_left_is_no_run(training, capsys) -> None:
    """A note says `running` for ever: beside a run in a folder of its own, the last workspace run seemed to go on."""
    root = training.path
    over = note(root, "over", root, training.head)
    note(root, "gone", root / "gone", training.head, "tempdir")
    with process(root, "dvc", "exp", "run", "--temp"):
        assert training.assay("show", "--json") == 0
        assert json.loads(capsys.readouterr().out)["rows"] == []
        look = ProjectWatch(root).look()
        assert look.runs == [] and look.commands == ["dvc exp run"]
    os.utime(over, (time.time() - 60, time.time() - 60))
    with process(root, "dvc", "exp", "run"):
        assert [run.experiment for run in ProjectWatch(root).look().runs] == [], "noted before this one began"
        note(root, "now", root, training.head)
        with stage(root, "train", DVC_ROOT=str(root)):
            assert [run.experiment for run in ProjectWatch(root).look().runs] == ["now"], "not the one before it"
        assert [(run.experiment, run.stage) for run in ProjectWatch(root).look().runs] == [("now", "")]


def test_a_confirmation_and_a_candidate_beside_its_baseline(training) -> None:
    root = training.path
    beside = root.parent / "beside"
    beside.mkdir()
    (beside / "curves.csv").write_text(f"{HEADER}1,3,4,1,1\n", encoding="utf-8")
    with (
        stage(root, "baseline", DVC_EXP_NAME="wide"),
        process(root, "__main__.py", "stage", "warm_candidate_cache", str(beside)),
    ):
        (run,) = ProjectWatch(root).look().runs
        assert (run.stage, [arm.state for arm in run.arms]) == ("baseline", ["training", "training"])
        assert [(one.number, one.epoch) for one in run.arms[1].replicates if one.epoch] == [(1, 4)]


def test_whole_lines_where_no_terminal_is(training, capsys, monkeypatch) -> None:
    monkeypatch.setattr(watch_run, "LOOK", 0.01)
    monkeypatch.setattr(commands, "GRACE", 0.0)
    with stage(training.path, "train", DVC_EXP_NAME="wide") as run:
        looks = iter([run.kill, run.wait])
        look = ProjectWatch.look

        def looked(self: ProjectWatch) -> commands.ProjectLook:
            found = look(self)
            next(looks, int)()
            return found

        monkeypatch.setattr(ProjectWatch, "look", looked)
        assert training.assay("watch") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("wide: train: candidate: 0 of 2 replicates, epoch 2 of 20")
    assert lines[-1] == "wide ended, and no verdict is recorded under that name; next: assay status"
    assert "\x1b" not in "".join(lines) and len(lines) <= 3


def test_files_of_an_earlier_run_are_not_those_of_this_one(training) -> None:
    """A stage by hand writes over them once it has read its data; DVC removes them before."""
    layout = ProjectPaths(training.path)
    for path in (layout.curves("candidate"), layout.log("candidate")):
        os.utime(path, (time.time() - 60, time.time() - 60))
    watch = ProjectWatch(training.path)
    with stage(training.path, "train", DVC_EXP_NAME="wide"):
        arm = watch.look().runs[0].arms[1]
        assert (arm.state, arm.planned, arm.ended, arm.replicates[0].epoch) == ("training", 2, 0, None)
        layout.curves("candidate").write_text(f"{HEADER}0,7,1,0.9,0.8\n", encoding="utf-8")
        assert watch.look().runs[0].arms[1].replicates[0].epoch == 1
