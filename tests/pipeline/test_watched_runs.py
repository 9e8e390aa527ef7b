"""`assay watch` beside real runs: of DVC, of a script, of a loop of the task's own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import scripted
from support.project import Project, environment
from support.terminal import on_a_terminal

pytestmark = pytest.mark.extra

TEMPLATES = Path(__file__).parents[2] / "src/assay/templates"
#: a training that tells how far it is, and takes a while
SLOW = scripted.TRAIN.replace(
    'print(f"training at lr {given.lr}")',
    'for epoch in range(15):\n    print(f"\\x1b[1mepoch {epoch}", flush=True)\n    __import__("time").sleep(0.1)',
)
LOOP = """

def fit(params, data, seed, log):
    import time
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, data.outputs))
    for epoch in range(1, 5):
        time.sleep(1)
        log(epoch, f1=epoch / 4)
    return module
"""


def begun(run: subprocess.Popen[bytes], sign: Path) -> None:
    """Wait until `run` has made a file."""
    deadline = time.monotonic() + 90
    while not sign.exists():
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("where", [(), ("--temp",)])
def test_a_run_of_dvc(fresh: Project, where: tuple[str, ...]) -> None:
    """On a terminal, from the first stage to the verdict; beside it events of the same run."""
    fresh.edit("params.yaml", "  epochs: 3", "  epochs: 100")
    fresh.commit("longer")
    env = environment(fresh.home) | {"TERM": "xterm", "COLUMNS": "110", "LINES": "40"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "dvc", "exp", "run", *where, "--name", "wide", "-S", "lr=0.01"]
    with subprocess.Popen(command, cwd=fresh.root, env=env, **quiet) as run:
        begun(run, fresh.root / ".dvc/tmp/exps/run")
        with (fresh.home / "events").open("w") as written:
            events = subprocess.Popen(["assay", "watch", "--json-lines"], cwd=fresh.root, env=env, stdout=written)
        said = on_a_terminal(["assay", "watch"], fresh.root, env)
        assert run.wait() == 0
    said = said.replace("\r\n", "\n")
    frames = re.split(r"\x1b\[\d+F\x1b\[J", said)
    assert any(re.search(r"^wide: stage train, \d+ s so far\n  lr 0.003 → 0.01\n", frame) for frame in frames)
    assert re.search(r"  candidate: \d of 3 replicates, epoch \d+ of 100, about \d+ s left\n    mean", said), said[
        -3000:
    ]
    assert re.search(r"epoch \d+ +train [\d.e-]+ +validation [\d.]+ +[▁▂▃▄▅▆▇█]+", said)
    assert re.search(r"\d\.\d of \d+ processors busy · \d+ MiB of memory", said)
    assert "% of the time waiting for data" in said
    last = r"wide: \w+  accuracy 0\.\d{4}  [+-]0\.\d{4} against floor; next: assay report wide\n"
    assert re.fullmatch(last, frames[-1]), said[-900:]
    assert events.wait(timeout=60) == 0
    told = [json.loads(line) for line in (fresh.home / "events").read_text(encoding="utf-8").splitlines()]
    assert {one["experiment"] for one in told} == {"wide"}
    ended = [one["replicate"] for one in told if one["event"] == "replicate"]
    assert sorted(ended) == [0, 1, 2], [one for one in told if one["event"] != "epoch"]
    epochs = [(one["replicate"], one["epoch"]) for one in told if one["event"] == "epoch"]
    assert len(epochs) == len(set(epochs)) == 300, "every epoch, and none twice"
    assert told[-1]["event"] == "ended" and told[-1]["verdict"]
    assert fresh.assay("watch").stdout == "nothing runs here; next: dvc exp run\n"


def test_a_script(tmp_path: Path) -> None:
    root = scripted.project(tmp_path / "script", {"train.py": SLOW})
    shutil.copy(TEMPLATES / "script/dvc.yaml", root / "dvc.yaml")
    (root / ".gitignore").write_text("__pycache__/\n/context\n/arms\n/models\n/logs\n/results\n", encoding="utf-8")
    scripted.commit(root)
    project = Project(root, tmp_path)
    project.stage("context")
    env = environment(tmp_path)
    with subprocess.Popen(["assay", "stage", "train"], cwd=root, env=env, stderr=subprocess.PIPE) as run:
        begun(run, root / "logs/candidate/1.log")
        time.sleep(0.3)
        said = project.assay("watch", "--once").stdout
        assert run.wait() == 0, run.stderr and run.stderr.read()
    assert "  candidate: 1 of 3 replicates, about " in said, said
    assert re.search(r"\n    0  done\n    1  training +\[1mepoch \d+\n    … and 1 more: 1 waiting\n", said), said


def test_a_loop_of_the_tasks_own(project: Project) -> None:
    path = project.root / "src/tasks/digits/learning.py"
    path.write_text(path.read_text(encoding="utf-8") + LOOP, encoding="utf-8")
    project.commit("own loop")
    project.stage("context")
    env = environment(project.home)
    began = time.time()  # what an earlier run left lies there until this one writes
    curves = project.root / "plots/curves-candidate.csv"
    with subprocess.Popen(["assay", "stage", "train"], cwd=project.root, env=env, stderr=subprocess.PIPE) as run:
        log = project.root / "results/candidate.log"
        while (
            not log.is_file()
            or log.stat().st_mtime < began
            or "replicate 0 (seed" not in log.read_text(encoding="utf-8")
            or "\n1," not in curves.read_text(encoding="utf-8")
        ):
            assert run.poll() is None, run.stderr and run.stderr.read()
            time.sleep(0.05)
        said = project.assay("watch", "--once").stdout
        assert run.wait() == 0
    assert re.search(r"  candidate: [12] of 3 replicates, (epoch \d of 4, about \d+ s left)?", said), said
    assert re.search(r"\n    0     done +[▁▂▃▄▅▆▇█]{4}\n    1     (epoch \d|done) +▁", said), said
