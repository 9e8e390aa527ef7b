"""Runs that are ended from outside. Only processes that were started here are ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from support.project import Project, environment

#: how a run ends: who gets the signal, and which
ENDS = ("kill group", "kill dvc", "interrupt")


def start(project: Project, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """`dvc COMMAND`, under way in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *command],
        cwd=project.root,
        env=environment(project.home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def interrupted(project: Project, command: Sequence[str], seconds: float, end: str) -> bool:
    """Start `dvc COMMAND`, end it after `seconds`, wait for its stages to be gone; whether it was still running."""
    run = start(project, command)
    try:
        run.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        below = psutil.Process(run.pid).children(recursive=True)
    if end == "kill dvc":
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGINT if end == "interrupt" else signal.SIGKILL)
    run.wait()
    _gone, alive = psutil.wait_procs(below, timeout=10)
    for process in alive:
        process.kill()
    assert not alive, f"stages outlived dvc by ten seconds after {end!r}: {alive}"
    return True


def again(project: Project, command: Sequence[str]) -> str:
    """Run `dvc COMMAND` to its end; what dvc was killed while writing, and had to be mended first as the docs say."""
    mended: list[str] = []
    while (done := project.dvc(*command, ok=False)).returncode:
        what = _mend(project, done.stderr)
        assert what and what not in mended, f"{mended}\n{done.stdout}\n{done.stderr}"
        mended.append(what)
    return ", ".join(mended)


def _mend(project: Project, said: str) -> str:
    """What one command of docs/troubles.md mended, "" when none did."""
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
    above, end = psutil.Process(run.pid), time.monotonic() + 120
    while True:
        below = above.children(recursive=True)
        at_work = [one for one in below if {stage, "measure"} & set(_command(one))]
        if len(at_work) >= processes:
            break
        assert run.poll() is None and time.monotonic() < end, f"stage {stage} never started"
        time.sleep(0.05)
    time.sleep(1)  # let it come to its training
    run.kill()
    run.wait()
    _gone, alive = psutil.wait_procs(below, timeout=5)
    for process in alive:
        process.kill()
    return [process.pid for process in alive]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
