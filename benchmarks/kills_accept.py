"""`assay accept` killed at random moments, its whole process group with SIGKILL.

Half of the kills wait for the last act, from the opening of the test part on, which is short. After each
kill the repository must be consistent and in the old state or the new one, and the repeated command must
end in the same tag, commit and work tree as one that was never disturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from assay.core.yaml12 import parse
from support.project import Project, accepted, environment


def start(project: Project) -> subprocess.Popen[bytes]:
    settings = environment(project.home)
    command = [sys.executable, "-m", "assay", "accept", "fast-lr", "fast"]
    return subprocess.Popen(
        command,
        cwd=project.root,
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes]) -> int:
    """Exit code, after everything was said."""
    process.communicate()
    return process.returncode


def last_act(process: subprocess.Popen[bytes]) -> None:
    """Return when the sealed test part is opened, or the process ended."""
    assert process.stderr is not None
    for line in process.stderr:
        if b"sealed test part" in line:
            return


def state(project: Project) -> tuple[str, str, str, str]:
    """The tag's message, the branch, the index against HEAD, the baseline."""
    message = project.git("cat-file", "tag", "strategy/fast").partition("\n\n")[2]
    baseline = str(parse(project.read("params.yaml"))["baseline"])
    return message, project.git("rev-parse", "HEAD"), project.git("status", "--porcelain"), baseline


def kill(project: Project, seconds: float, late: bool) -> str:
    """Kill one run after `seconds`, `late`: of its last act; the state it left: old or new."""
    process = start(project)
    if late:
        last_act(process)
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    project.git("fsck", "--no-dangling")
    new = "strategy/fast" in project.git("tag").split()
    baseline = parse(project.git("show", "HEAD:params.yaml"))["baseline"]
    assert baseline == ("strategy/fast" if new else "strategy/first"), f"tag {new}, but baseline {baseline}"
    return "new" if new else "old"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    dice = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        project = accepted(where)
        project.git("config", "user.name", "Ada Lovelace")
        project.git("config", "user.email", "ada@example.org")
        project.dvc("exp", "run", "-S", "lr=0.02", "-n", "fast-lr")
        whole = project.copy(where / "whole")
        begun = time.monotonic()
        process = start(whole)
        last_act(process)
        first = time.monotonic() - begun
        assert finish(process) == 0
        last, expected = time.monotonic() - begun - first, state(whole)
        left = {"old": 0, "new": 0}
        for number in range(chosen.kills):
            one = project.copy(where / str(number))
            late = number % 2 == 1
            left[kill(one, dice.uniform(0, 1.1 * (last if late else first)), late)] += 1
            assert finish(start(one)) == 0
            assert state(one) == expected, f"kill {number} ended differently"
            subprocess.run(["rm", "-rf", str(one.root.parent)], check=True)
        print(f"{chosen.kills} kills within {first:.1f} s and a last act of {last:.1f} s:")
        print(f"{left['old']} left the old state, {left['new']} the new one;")
        print("every repeated command ended in the same tag, commit, baseline and clean work tree")


if __name__ == "__main__":
    main()
