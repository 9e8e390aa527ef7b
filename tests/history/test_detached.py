"""HEAD that a killed `dvc exp run` left on no branch, and commits made in a run: found, and mended without a loss."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from gitproject import Project

STAGES = f"""\
stages:
  work:
    cmd: {sys.executable} ../work.py
    always_changed: true
"""
COMMIT = (
    "import subprocess; subprocess.run(['git', 'commit', '-q', '--allow-empty', '-m', 'made in a run'], check=True)\n"
)
DIE = "import psutil; next(one for one in psutil.Process().parents() if 'dvc' in one.cmdline()).kill()\n"
ASK = """\
import os
from pathlib import Path
from assay.history import detached_head as detached
Path("../said").write_text(detached.before_this_run(Path.cwd(), os.environ["DVC_EXP_NAME"]))
"""


def run(project: Project, work: str) -> str:
    """`dvc exp run` of a stage that does `work`; what a stage that asks was told."""
    said = project.path.parent / "said"
    said.unlink(missing_ok=True)
    (project.path.parent / "work.py").write_text(work)
    command = [sys.executable, "-m", "dvc", "exp", "run", "--quiet"]
    subprocess.run(command, cwd=project.path, capture_output=True, timeout=60)
    return said.read_text() if said.exists() else ""


def runs(project: Project, capsys) -> list[tuple[str, str]]:
    """What status says of runs: text and mend."""
    capsys.readouterr()
    assert project.assay("status") == 0
    lines = [line[2:].strip() for line in capsys.readouterr().out.splitlines()]
    found = [line.removeprefix("runs").strip().partition("; next: ") for line in lines if line.startswith("runs ")]
    return [(text, hint) for text, _, hint in found]


def hint(project: Project, command: str) -> None:
    subprocess.run(command, shell=True, cwd=project.path, check=True, capture_output=True)


@pytest.mark.extra
def test_commits_of_a_run_and_after_a_killed_one_are_found_and_kept(project: Project, capsys) -> None:
    project.write({"dvc.yaml": STAGES})
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=project.path, check=True)
    main = project.commit()

    assert run(project, COMMIT + ASK) == "" and project.git("symbolic-ref", "HEAD") == "refs/heads/main"
    ((text, kept),) = runs(project, capsys)
    assert text == "1 commit(s) made while a run had detached HEAD are on no branch"
    hint(project, kept)
    assert not runs(project, capsys)
    assert project.git("log", "-1", "--format=%s", kept.split()[2]) == "made in a run" and project.head == main

    run(project, DIE)
    detached = f"HEAD is detached at {main[:12]}, since a run on main was killed"
    assert (detached, "git symbolic-ref HEAD refs/heads/main") in runs(project, capsys)
    project.write({"src/code.py": "x = 2\n"})
    own = project.commit({}, "made after it")
    said = f"HEAD is detached at {own[:12]}, since a run on main was killed, with 1 commit(s) that are on no branch"
    (command,) = [hint for text, hint in runs(project, capsys) if text == said]
    time.sleep(1)  # Git's log tells seconds: a run that follows within the same one is taken for the killed one
    assert run(project, ASK) == f"{said}; next, after this run: {command}"
    project.write({"src/code.py": "x = 3\n"})
    hint(project, command)
    assert project.git("symbolic-ref", "HEAD") == "refs/heads/main" and project.head == own
    assert project.git("status", "--porcelain", "src") == "M src/code.py"
    assert not [text for text, _ in runs(project, capsys) if "detached" in text]


def test_a_branch_that_went_on_meanwhile_is_merged_with(project: Project, capsys) -> None:
    start = project.head
    project.git("checkout", "-q", start)
    own = project.commit({"src/code.py": "x = 2\n"})
    project.git(
        "update-ref", "refs/heads/main", project.git("commit-tree", f"{start}^{{tree}}", "-p", start, "-m", "theirs")
    )
    ((text, command),) = [found for found in runs(project, capsys) if "detached" in found[0]]
    assert text.endswith("since a run on main was killed, with 1 commit(s) that are on no branch")
    hint(project, command)
    assert own in project.git("rev-list", "main").split() and "theirs" in project.git("log", "--format=%s", "main")


def test_a_head_that_its_user_detached_is_no_killed_run(project: Project, capsys) -> None:
    project.commit()
    project.git("checkout", "-q", "HEAD~1")
    ((text, _),) = [found for found in runs(project, capsys) if "detached" in found[0]]
    assert "killed" not in text
    project.commit({"src/code.py": "x = 2\n"})
    ((text, command),) = [found for found in runs(project, capsys) if "detached" in found[0]]
    assert text.endswith(", with 1 commit(s) that are on no branch") and command == "git switch -c NAME"
