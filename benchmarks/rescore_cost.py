"""What a further strategy costs `assay rescore`, against training it again: at most 1/50.

One project with `--experiments` experiments; the ruler is raised, then everything is scored. CPU seconds of
the command and all its children; the fixed price (DVC looks whether the ruler runs) is what the command
costs when nothing is left to score.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.project import Project, accepted


def cpu(project: Project, *command: str) -> float:
    """CPU seconds of a command and its children."""
    before = os.times()
    project.run(*command, PYTHONPATH=str(project.root / "src"))
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = accepted(Path(folder))
        project.git("config", "user.name", "Ada Lovelace")
        project.git("config", "user.email", "ada@example.org")
        for number in range(chosen.experiments):
            project.dvc("exp", "run", "--quiet", "-S", f"lr={0.004 + number / 1000:g}", "-n", f"e{number}")
        shutil.rmtree(project.root / ".dvc" / "tmp" / "assay" / "replicates", ignore_errors=True)
        training = cpu(project, sys.executable, "src/stage.py", "baseline")
        project.git("checkout", "--quiet", "--", ".")
        project.edit("src/tasks/digits/metrics.py", "REVISION = 1", "REVISION = 2")
        project.commit("raise the ruler")
        project.dvc("repro", "--quiet")
        rescore = (sys.executable, "-m", "assay", "rescore")
        whole, fixed = [], []
        for _ in range(3):
            whole.append(cpu(project, *rescore))
            fixed.append(cpu(project, *rescore))
            for ref in project.git("for-each-ref", "--format=%(refname)", "refs/assay").split():
                project.git("update-ref", "-d", ref)
        each = max(0.001, (min(whole) - min(fixed)) / chosen.experiments)  # below a millisecond is noise
        print(f"training one strategy (3 seeds, 3 epochs) {training:.2f} s, scoring one more {each * 1000:.1f} ms CPU")
        print(f"fixed price of the command {min(fixed):.2f} s; training / scoring = {training / each:.0f}")


if __name__ == "__main__":
    main()
