"""GIT_DIR in the environment, as in every Git hook: cells run in repositories of ours, the user's stays as it is."""

from __future__ import annotations

import subprocess

import pytest

from support.project import Project

ASKED = ("symbolic-ref HEAD", "rev-parse HEAD", "ls-files --stage", "status --porcelain", "show-ref --heads --tags")


def state(project: Project) -> tuple[object, ...]:
    """What a command in the wrong repository changes: configuration, HEAD, index, work tree, branches and tags."""
    config = (project.root / ".git/config").read_bytes()
    return (config, *(project.git(*line.split(), ok=False) for line in ASKED))


def under_git_dir(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    """`assay COMMAND` as Git would start it; the user's repository is as it was."""
    before, git = state(project), project.root / ".git"
    places = {"GIT_DIR": str(git), "GIT_INDEX_FILE": str(git / "index"), "GIT_WORK_TREE": str(project.root)}
    done = project.assay(*command.split(), ok=False, **places)
    assert "Traceback" not in done.stderr, done.stderr
    assert state(project) == before
    return done


@pytest.mark.extra
def test_cells_that_fail_leave_the_repository_that_git_names_alone(fresh: Project) -> None:
    """What is laid out and run is there long before anything trains."""
    fresh.git("config", "user.name", "Ada Lovelace")
    fresh.git("config", "user.email", "ada@example.org")
    fresh.edit("src/tasks/digits/data.py", "def prepare(", "raise OSError('no disk')\n\n\ndef prepare(")
    fresh.commit("lose the disk")
    done = under_git_dir(fresh, "sweep -S lr=0.01,0.02")
    assert done.returncode == 2 and "OSError: no disk" in done.stderr, done.stderr


@pytest.mark.extra
@pytest.mark.parametrize("command", ["sweep -S lr=0.02,0.01", "ablate -S lr=0.02 -S model.hidden=96"])
def test_cells_leave_the_repository_that_git_names_alone(ready: Project, command: str) -> None:
    ready.git("checkout", "--quiet", "--force", "HEAD", "--", ".")
    assert under_git_dir(ready, command).returncode == 0
