"""Runs that are ended from outside. Only processes that were started here are ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO

import psutil

from support.project import Project, environment

#: how a run ends: who gets the signal, and which
ENDS = ("kill group", "kill dvc", "interrupt")
#: in place of a stage: a replicate was trained and kept
TRAINED = "trained"


def start(
    project: Project, command: Sequence[str], said: IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """`dvc COMMAND`, under way in a process group of its own; its messages go to `said`."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *command],
        cwd=project.root,
        env=environment(project.home),
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,
    )


def interrupted(project: Project, command: Sequence[str], seconds: float, end: str) -> bool:
    """Start `dvc COMMAND`, end it after `seconds`, wait for its stages to be gone; whether it was still running."""
    run = start(project, command)
    try:
        run.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        _end(run, end)
    return True


def interrupted_in(project: Project, command: Sequence[str], stage: str, seconds: float, end: str) -> bool:
    """End `dvc COMMAND` so many seconds after its `stage` was seen at work; whether it was still running.

    For `TRAINED` it is ended so long after the first replicate that it keeps.

    What an earlier kill cut short while DVC wrote it makes DVC refuse to start: that is mended first.
    """
    mended: list[str] = []
    before = _kept(project)
    while True:
        with tempfile.TemporaryFile() as said:
            run = start(project, command, said)
            if _reached(run, (lambda: _kept(project) > before) if stage == TRAINED else partial(_at, run, [stage])):
                time.sleep(seconds)
            if run.poll() is None:
                _end(run, end)
                return True
            if not run.returncode:
                return False
            said.seek(0)
            mended.append(_mended(project, said.read().decode(), mended))


def _reached(run: subprocess.Popen[bytes], there: Callable[[], bool]) -> bool:
    """Wait until the run is `there`; False when it ends before."""
    last = time.monotonic() + 120
    while run.poll() is None:
        if there():
            return True
        assert time.monotonic() < last, "the run never came so far"
        time.sleep(0.02)
    return False


def _at(run: subprocess.Popen[bytes], stages: Sequence[str], processes: int = 1) -> bool:
    """Whether so many processes of these stages are at work."""
    below = _below(psutil.Process(run.pid))
    return sum(not set(stages).isdisjoint(_command(one)) for one in below) >= processes


def _kept(project: Project) -> int:
    """Replicates in the cache."""
    return len(list((project.root / ".dvc/tmp/assay/replicates").glob("*/weights")))


def _end(run: subprocess.Popen[bytes], end: str) -> None:
    """End a run in one of `ENDS`; its stages are gone soon."""
    below = _below(psutil.Process(run.pid))
    if end == "kill dvc":
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGINT if end == "interrupt" else signal.SIGKILL)
    run.wait()
    left = _left(below, 10)
    assert not left, f"stages outlived dvc by ten seconds after {end!r}: {left}"


def _left(processes: Sequence[psutil.Process], seconds: float) -> list[int]:
    """Those still there after so many seconds, which are then killed."""
    _gone, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        process.kill()
    return [process.pid for process in alive]


def again(project: Project, command: Sequence[str]) -> str:
    """Run `dvc COMMAND` to its end; what dvc was killed while writing, and had to be mended first as the docs say."""
    mended: list[str] = []
    while (done := project.dvc(*command, ok=False)).returncode:
        mended.append(_mended(project, done.stderr, mended))
    return ", ".join(mended)


def _mended(project: Project, said: str, before: Sequence[str]) -> str:
    """What one command of docs/troubles.md mended, which was nothing that had been mended before."""
    what = _mend(project, said)
    assert what and what not in before, f"{before}\n{said}"
    return what


def _mend(project: Project, said: str) -> str:
    """What one command of docs/troubles.md mended, "" when none did."""
    settle(project)  # while something runs, `assay status` calls no lock a dead one
    if "uncommitted changes exist in the index" in said:
        project.git("reset", "--quiet")
        return "the index"
    git = project.root / ".git"
    locks = [*git.glob("*.lock"), *(git / "refs/exps").rglob("*.lock")]
    locks += [project.root / ".dvc/tmp/rwlock"] * ("rwlock" in said)
    for lock in locks:
        assert f"rm '{lock}'" in project.assay("status", ok=False).stdout
        lock.unlink()
    if not locks and "dvc.lock" in said:
        project.git("checkout", "HEAD", "--", "dvc.lock")
    return locks[0].name if locks else "dvc.lock" * ("dvc.lock" in said)


def settle(project: Project) -> None:
    """Wait until nothing that a dead run left is at work in the project: a stage may have started meanwhile."""
    end = time.monotonic() + 10
    while left := _at_work(project):
        assert time.monotonic() < end, f"{left} outlived dvc"
        time.sleep(0.1)


def _at_work(project: Project) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            inside = str(project.root) in (process.cwd(), *process.cmdline())
        except (psutil.Error, OSError):
            continue
        if inside and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def left_after_kill(project: Project, stage: str, processes: int) -> list[int]:
    """Kill dvc alone once `stage` is at work, in so many processes; those that are there five seconds later."""
    run = start(project, ["repro"])
    assert _reached(run, partial(_at, run, [stage, "measure"], processes)), f"the run was over before its stage {stage}"
    time.sleep(1)  # let it come to its training
    below = _below(psutil.Process(run.pid))
    run.kill()
    run.wait()
    return _left(below, 5)


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
