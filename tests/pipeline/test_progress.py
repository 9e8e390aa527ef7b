"""Long work is never silent: a bar on a terminal, a whole line now and then elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.core import params_yaml
from assay.core.schemas import MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates.training_progress import TrainingTime
from assay.runtime import progress_line
from assay.runtime.progress_line import duration
from support.project import Project, environment
from support.terminal import on_a_terminal

ROOT = Path(__file__).parents[2]
#: stages with less patience: a line each tenth of a second
QUICK = """
import sys, time
from assay.runtime import progress_line
progress_line.TERMINAL = progress_line.ELSEWHERE = 0.1
"""
SLEEP = QUICK + "with progress_line.showing(progress_line.running('prepare')):\n    time.sleep(0.75)\nprint('done')\n"
STAGE = QUICK + "from assay.runtime import stage_runner\nstage_runner.leave(stage_runner.guarded(sys.argv[1:]))\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.7, "1 min 0 s"), (84, "1 min 24 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def clock(*times: float) -> Iterator[float]:
    return iter(times)


def test_what_is_said_of_training() -> None:
    now = clock(0.0, 30.0, 36.0, 36.0)
    done = TrainingTime("train", 10, 200, lambda: next(now))
    assert done.line(0) == "train: 0 of 10 replicates, 30 s so far"
    for _ in range(3):
        for epoch in range(1, 21):
            done.trained(1, epoch)
        done.finished(reused=False)
    assert done.line(0) == "train: 3 of 10 replicates, epoch 20 of 20, 12 s each, about 1 min 24 s left"
    bar = done.line(80)
    assert bar.startswith("train: 3 of 10 replicates, epoch 20 of 20: ") and len(bar) < 80
    assert "30%" in bar and "00:36<01:24" in bar


def test_replicates_from_the_cache_take_no_time() -> None:
    now = clock(0.0, 10.0)
    done = TrainingTime("train (arm 2 of 2)", 4, 40, lambda: next(now))
    done.finished(reused=True)
    done.finished(reused=True)
    done.finished(reused=False)
    assert done.line(0) == "train (arm 2 of 2): 3 of 4 replicates, 10 s each, about 10 s left"


def test_settings_that_train_together_count_the_replicates_of_all(tmp_path: Path) -> None:
    """Sixteen settings of three replicates said `48 of 3 replicates`."""
    paths = dict.fromkeys(("models", "predictions", "train", "evaluate", "answer", "environment", "code", "cache"), "")
    asked = MeasureRequest(
        profile="full",
        purpose="candidate",
        seed=7,
        replicates=[0, 1, 2],
        device="cpu",
        execution="auto",
        curves=str(tmp_path / "curves.csv"),
        log=str(tmp_path / "log"),
        **paths,
    )
    params = params_yaml.resolved((ROOT / "params.yaml").read_bytes())
    progress = assemble_measurement.watched(asked, params, settings=16)
    progress.done.finished(reused=True)
    assert progress.done.line(0).startswith("16 settings together: 1 of 48 replicates")
    progress.close()


def test_a_command_shows_the_line_of_its_child(tmp_path: Path) -> None:
    """accept, sweep and rebaseline keep what their children print; how far those are is shown all the same."""
    (tmp_path / "child.py").write_text(SLEEP.replace("0.75", "1.5"))
    command = QUICK + (
        "from pathlib import Path\nfrom assay.scratch import scratch_repo\n"
        "code, said = scratch_repo.run([sys.executable, 'child.py'], Path(), Path(), 'confirming')\n"
        "assert (code, said) == (0, 'done\\n'), said\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"confirming: \d s so far", lines[0]), "before the child has said anything"
    assert re.fullmatch(r"confirming: prepare: \d s so far", lines[-1])


def test_the_line_of_a_child_ends_with_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `prepare: 9 min so far` would stand there while the next stage works and says nothing."""
    file, said = tmp_path / "line", []
    monkeypatch.setenv(progress_line.FILE, str(file))
    monkeypatch.setattr(progress_line, "TERMINAL", 0.01)

    def line(_columns: int) -> str:
        said.append("said")
        return "prepare"

    with progress_line.showing(line):
        while len(said) < 2:
            time.sleep(0.01)
        assert file.read_text() == "prepare"
    assert not file.exists()

    said.clear()
    monkeypatch.setattr(progress_line, "_off", True)  # a debugger has the terminal
    with progress_line.showing(line):
        time.sleep(0.1)
    assert not said


def test_whole_lines_in_a_file(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SLEEP], capture_output=True, env={**os.environ, "TERM": "xterm"})
    assert done.stdout == b"done\n"
    lines = done.stderr.decode().splitlines()
    assert len(lines) >= 3 and all(re.fullmatch(r"prepare: \d s so far", line) for line in lines)


def test_one_line_of_a_terminal() -> None:
    said = on_a_terminal([sys.executable, "-c", SLEEP], Path.cwd(), {**os.environ, "TERM": "xterm"})
    assert said.count("\rprepare: ") >= 3 and said.endswith("\r\x1b[Kdone\r\n")
    assert "\n" not in said.removesuffix("\n")


@pytest.mark.extra
def test_a_terminal_without_movement() -> None:
    said = on_a_terminal([sys.executable, "-c", SLEEP], Path.cwd(), {**os.environ, "TERM": "dumb"})
    assert "\x1b" not in said and said.count("so far\r\n") >= 3


@pytest.mark.extra
def test_stages(fresh: Project) -> None:
    """Train and prepare of a real project, on a terminal and into a pipe; the weights are the same bit for bit."""
    fresh.edit("params.yaml", "  epochs: 3", "  epochs: 80")
    fresh.edit(
        "src/tasks/digits/data.py", "    package = find", "    import time\n\n    time.sleep(1)\n    package = find"
    )
    fresh.commit("slow")
    fresh.stage("context")
    env = environment(fresh.home) | {"TERM": "xterm"}
    prepare = [sys.executable, "-c", STAGE, "prepare"]
    assert "\rprepare: " in on_a_terminal(prepare, fresh.root, env)
    fresh.stage("split")
    train = [sys.executable, "-c", STAGE, "train"]
    said = on_a_terminal(train, fresh.root, env)
    assert re.search(r"\rtrain: 0 of 3 replicates, epoch \d+ of 80: +\d+%", said), said[-3000:]
    weights = {path.name: path.read_bytes() for path in (fresh.root / "models/candidate").iterdir()}
    (cache,) = (fresh.root / ".dvc/tmp").glob("assay/replicates")
    subprocess.run(["rm", "-r", str(cache)], check=True)
    done = subprocess.run(train, cwd=fresh.root, env=env, capture_output=True, text=True, encoding="utf-8")
    assert re.search(r"^train: \d of 3 replicates, .*about \d+ s left$", done.stderr, re.MULTILINE), done.stderr
    assert not [line for line in done.stderr.splitlines() if not line.startswith("train: ")]
    assert weights == {path.name: path.read_bytes() for path in (fresh.root / "models/candidate").iterdir()}
