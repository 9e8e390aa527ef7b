"""What Git puts into the environment of its hooks and aliases steers nothing of ours."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from assay.runtime import git, git_env_vars
from support.project import Project


@pytest.fixture
def idea(fresh: Project) -> Project:
    """A branch `idea` beside main, which `assay accept --dry-run` lays out in a repository of its own."""
    for key, value in {"name": "Ada Lovelace", "email": "ada@example.org"}.items():
        fresh.git("config", f"user.{key}", value)
    fresh.git("switch", "--quiet", "--create", "idea")
    fresh.edit("params.yaml", "lr: 0.003", "lr: 0.004")
    fresh.commit("another step size")
    fresh.git("switch", "--quiet", "main")
    return fresh


def state(project: Project) -> tuple[str, ...]:
    """What a command in the wrong repository changes."""
    asked = ("symbolic-ref HEAD", "rev-parse HEAD", "for-each-ref", "config --get-all core.bare", "ls-files --stage")
    return tuple(project.git(*line.split(), ok=False) for line in (*asked, "status --porcelain"))


def command(project: Project, *arguments: str) -> str:
    """A shell's line that runs `assay`."""
    return f"PYTHONPATH='{project.root}/src' '{sys.executable}' -m assay {' '.join(arguments)}"


def test_what_git_calls_local_is_known() -> None:
    """`git rev-parse --local-env-vars` of this Git names nothing that is neither forgotten nor a setting."""
    said = git.run(Path(__file__).parent, "rev-parse", "--local-env-vars").split()
    assert set(said) <= {*git_env_vars.PLACES, *git_env_vars.SETTINGS}


def test_a_hook_and_an_alias_write_into_no_repository_but_ours(idea: Project) -> None:
    """Git sets GIT_DIR and GIT_INDEX_FILE for hooks, GIT_DIR for aliases in linked work trees.

    Publicly reported of others: evilmartians/lefthook#1265, max-sixty/worktrunk#3373, changesets/changesets#2255.
    """
    hook = idea.root / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{command(idea, 'accept', 'idea', 'hooked', '--dry-run')}\n", encoding="utf-8")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    (idea.root / "note.txt").write_text("committed\n", encoding="utf-8")
    idea.git("add", "note.txt")
    done = idea.run("git", "commit", "--quiet", "--message", "a note")
    assert "the tag strategy/hooked on it" in done.stdout + done.stderr
    hook.unlink()
    assert idea.git("show", "--name-only", "--format=%s", "HEAD").split("\n\n") == ["a note", "note.txt"]
    assert idea.git("status", "--porcelain") == "" and idea.git("config", "core.bare") == "false"

    linked = Project(idea.root.parent / "linked", idea.home)
    idea.git("worktree", "add", "--quiet", "-b", "side", str(linked.root))
    before = state(idea), state(linked)
    alias = f"alias.acc=!{command(linked, 'accept', 'idea', 'aliased', '--dry-run')}"
    done = linked.run("git", "-c", alias, "acc")
    assert "the tag strategy/aliased on it" in done.stdout + done.stderr
    assert (state(idea), state(linked)) == before


def test_a_stage_asks_the_repository_it_lies_in(idea: Project) -> None:
    done = idea.run("assay", "stage", "context", GIT_DIR="/nowhere", GIT_INDEX_FILE="/nowhere/index")
    assert "Traceback" not in done.stderr
    asked = {"GIT_DIR": str(idea.root / ".git"), "GIT_OBJECT_DIRECTORY": "/nowhere"}
    before = state(idea)
    idea.assay("accept", "idea", "asked", "--dry-run", **asked)
    assert state(idea) == before


def test_settings_of_a_command_line_are_for_the_users_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers call folders safe in this way, and stages in a repository of ours ask the user's, too."""
    for name in [name for name in os.environ if name.startswith("GIT_CONFIG")]:
        monkeypatch.delenv(name)
    for n, (key, value) in enumerate({"core.hooksPath": "/hooks", "safe.directory": "/srv/project"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{n}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{n}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare'='true' 'safe.directory'='/srv/other'")
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    found = {key: value for key, value in git_env_vars.of_our_own().items() if key.startswith("GIT_")}
    assert sorted(value for key, value in found.items() if "_VALUE_" in key) == ["/srv/other", "/srv/project"]
    assert {value for key, value in found.items() if "_KEY_" in key} == {"safe.directory"}
    assert found["GIT_CONFIG_COUNT"] == "2" and "GIT_CONFIG_PARAMETERS" not in found and "GIT_DEFAULT_HASH" not in found
