"""`assay check`: all refusals at once, in seconds, and nothing is written."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import time

import pytest

from assay.commands import check
from assay.core.params_problems import problems
from support.project import Project, environment


def state(project: Project) -> tuple[str, list[str]]:
    listed = sorted(str(path) for path in project.root.rglob("*") if ".git/" not in str(path))
    return project.git("status", "--porcelain", "--ignored"), listed


def refusals(project: Project, *arguments: str) -> tuple[int, dict[str, list[str]]]:
    done = project.assay("check", "--json", *arguments, ok=False)
    found: dict[str, list[str]] = {}
    for one in json.loads(done.stdout)["refusals"]:
        found.setdefault(one["topic"], []).append(one["text"])
    return done.returncode, found


@pytest.mark.extra
def test_a_project_that_runs(fresh: Project) -> None:
    before = state(fresh)
    done = fresh.assay("check")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["prepare", "split", "train", "evaluate"]
    assert lines[-1] == "check: nothing to refuse; next: dvc exp run"
    assert state(fresh) == before


def test_everything_at_once(fresh: Project) -> None:
    """Parameters, a member, untracked code, the metric, the baseline: one list, with the exit code of the worst."""
    task = "src/tasks/digits/learning.py"
    fresh.edit("params.yaml", "seed: 1", "seed: -1\ncolour: red")
    fresh.edit("params.yaml", "baseline: floor", "baseline: strategy/none")
    fresh.edit("params.yaml", "  hidden: 128", "  hiden: 128")
    fresh.edit("params.yaml", "  name: accuracy", "  name: precision")
    fresh.edit(task, "import torch\n", "import torch\nfrom tasks.digits import extra\n")
    (fresh.root / "src/tasks/digits/extra.py").write_text("SIZE = 3\n", encoding="utf-8")
    before = state(fresh)
    code, found = refusals(fresh)
    assert state(fresh) == before
    assert code == 4
    assert len(found["params"]) == 2 and any("seed is -1" in text for text in found["params"])
    assert any("unknown parameter 'colour'" in text for text in found["params"])
    assert any("unknown parameter 'model.hiden'" in text for text in found["task"])
    assert any("metric.name is 'precision'" in text for text in found["metric"])
    assert any("src/tasks/digits/extra.py is imported but Git does not track it" in text for text in found["code"])
    assert any(
        "strategy/none is not in this repository" in text or "strategy/none" in text for text in found["baseline"]
    )
    assert all("; next: " in text or "; allowed: " in text for texts in found.values() for text in texts)


@pytest.mark.extra
def test_what_only_running_tells(fresh: Project) -> None:
    """The loss and one metric fail: the other metric is still scored, on a floor's predictions."""
    fresh.edit("src/tasks/digits/learning.py", "return -outputs", "return 0 * -outputs")
    fresh.edit("src/tasks/digits/learning.py", ".mean()", "")
    fresh.edit(
        "src/tasks/digits/metrics.py", "return float(-np.log", "raise KeyError('nats')\n    return float(-np.log"
    )
    code, found = refusals(fresh)
    assert code == 2 and found.keys() == {"train", "evaluate"}
    assert "loss() returns" in found["train"][0]
    assert len(found["evaluate"]) == 1 and "src/tasks/digits/metrics.py:" in found["evaluate"][0]


@pytest.mark.extra
def test_a_repository_without_git_and_dvc(fresh: Project) -> None:
    shutil.rmtree(fresh.root / ".git")
    shutil.rmtree(fresh.root / ".dvc")
    code, found = refusals(fresh, "--stage", "prepare")
    assert code == 2
    assert any("is in no Git repository; next: git init" in text for text in found["git"])
    assert any("is in no DVC repository; next: dvc init" in text for text in found["git"])


@pytest.mark.extra
def test_a_breakpoint(fresh: Project) -> None:
    """On a terminal, with a debugger that asks: it gets its answer, and the run goes on."""
    fresh.edit("src/tasks/digits/learning.py", "    width = int(", "    breakpoint()\n    width = int(")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "assay", "check", "--stage", "train"]
    own = environment(fresh.home) | {"TERM": "dumb"}
    child = subprocess.Popen(command, cwd=fresh.root, env=own, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said, asked = "", 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            said += os.read(ours, 4096).decode(errors="replace")
        except OSError:
            break
        if said.count("(Pdb)") > asked:
            asked += 1
            os.write(ours, b"p shape\n" if asked == 1 else b"c\n")
    assert child.wait(timeout=30) == 0, said
    assert "(8, 8)" in said and "check: nothing to refuse" in said


def test_all_problems_of_a_file() -> None:
    text = b"lr: abc\nreplicates: 0\nseed: 1\ntask: {name: 3}\nmodel: {}\ntrain: {epochs: 0, bach: 3}\nmetric: {}\n"
    found, params = problems(text)
    sentences = [error.sentence for error in found]
    for named in ("lr is 'abc'", "replicates is 0", "task.name is 3", "train.epochs is 0", "'train.bach'", "name"):
        assert any(named in sentence for sentence in sentences), (named, sentences)
    assert len(found) == 6 and params is not None and params.train.epochs == 20
    assert problems(b"a: [\n")[1] is None


def test_a_run_in_small_that_was_killed_is_said() -> None:
    """Nothing stands above it, as a killed process says nothing."""
    assert "was ended by signal 9, most often for too little memory" in check.ended(-9)
    assert check.ended(1) == "the run in small ended early, see the lines above"
