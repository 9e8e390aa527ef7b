"""`assay accept` killed, finished, and begun twice: the old state or the new one, and nothing between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.core.yaml12 import parse
from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project, environment


def message(project: Project) -> str:
    """The tag's message: everything but the tagger's line."""
    return project.git("cat-file", "tag", "strategy/fast").partition("\n\n")[2]


def start(project: Project) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "assay", "accept", "fast-lr", "fast"]
    settings = environment(project.home)
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=project.root, env=settings, stdout=quiet, stderr=quiet, start_new_session=True)


@pytest.mark.extra
@pytest.mark.kill
def test_killed_anywhere_it_leaves_the_old_or_the_new_state(ready: Project, done: Project, tmp_path: Path) -> None:
    seconds = 6.0  # until an undisturbed one has told
    for number, share in enumerate((0.15, 0.4, 0.7, 0.93, 0.99)):
        project = ready.copy(tmp_path / str(number))
        process = start(project)
        time.sleep(share * seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        project.git("fsck", "--no-dangling")
        tags = project.git("tag").split()
        new = "strategy/fast" in tags
        assert parse(project.git("show", "HEAD:params.yaml"))["baseline"] == f"strategy/{'fast' if new else 'first'}"
        begun = time.monotonic()
        assert start(project).wait() == 0
        seconds = time.monotonic() - begun if number == 0 else seconds
        assert message(project) == message(done)
        assert project.git("rev-parse", "HEAD") == done.git("rev-parse", "HEAD")
        assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("lost", ["work tree", "branch"])
def test_an_interrupted_landing_is_finished(done: Project, ready: Project, lost: str) -> None:
    """Killed between the tag and the rest: the branch, or only index and work tree, did not follow."""
    old = done.git("rev-parse", "strategy/fast^")
    tip = done.git("rev-parse", "HEAD")
    done.git("reset", "--quiet", "--hard", old)
    if lost == "work tree":
        done.git("update-ref", "refs/heads/main", tip)
    assert start(done).wait() == 0
    assert done.git("rev-parse", "HEAD^") == done.git("rev-parse", "strategy/fast^{}")
    assert parse(done.read("params.yaml"))["baseline"] == "strategy/fast"
    assert done.git("status", "--porcelain") == ""
    assert "is accepted" in done.assay("accept", "fast-lr", "fast").stderr


def test_a_branch_that_went_on_is_not_dragged_back(done: Project) -> None:
    done.git("reset", "--quiet", "--hard", "strategy/fast^")
    done.git("commit", "--quiet", "--allow-empty", "-m", "theirs")
    found = done.assay("accept", "fast-lr", "fast", ok=False)
    assert "strategy/fast exists, but main does not contain it; next: git merge strategy/fast" in found.stderr


def test_two_at_once_one_wins(ready: Project) -> None:
    """In one clone the second is told at once; with another name in a second clone, when it pushes."""
    first = start(ready)
    lock = ready.root / ".dvc/tmp/assay/accept.lock"
    lock.unlink(missing_ok=True)
    while not lock.exists() and first.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    second = ready.assay("accept", "fast-lr", "other", ok=False)
    assert "another `assay accept` is at work here" in second.stderr
    assert first.wait() == 0 and list(fold(read(ready.root).tags).strategies) == ["fast"]
