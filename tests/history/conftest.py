"""Real repositories: a fake HOME, no system configuration, one template a session, a copy a test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from gitproject import PARAMS, Project, accepted, metrics


@pytest.fixture(autouse=True)
def quiet_git(tmp_path_factory, monkeypatch):
    """No configuration but the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("XDG_CONFIG_HOME", "GIT_DIR", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """One commit with params.yaml, dvc.yaml and code."""
    path = tmp_path_factory.mktemp("template") / "project"
    environment = {"HOME": str(path.parent), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True, env=environment)
    project = Project(path)
    project.git("config", "user.name", "Ada Lovelace", env=environment)
    project.git("config", "user.email", "ada@example.org", env=environment)
    project.write({"params.yaml": PARAMS, "dvc.yaml": "stages: {}\n", "src/code.py": "x = 1\n"})
    project.git("add", "-A", env=environment)
    project.git("commit", "-q", "-m", "Start", env=environment)
    return path


@pytest.fixture
def project(template, tmp_path) -> Project:
    return Project(Path(shutil.copytree(template, tmp_path / "project")))


@pytest.fixture
def two_strategies(project) -> Project:
    """adam, accepted on the floor, then cosine on adam; params.yaml names cosine."""
    first = project.commit({"results/metrics.json": metrics()}, "Accept adam")
    project.tag(accepted(first))
    project.commit({"params.yaml": PARAMS.replace("baseline: floor", "baseline: strategy/adam")}, "Baseline adam")
    second = project.commit({"results/metrics.json": metrics(0.98)}, "Accept cosine")
    project.tag(accepted(second, "cosine", 2, baseline="strategy/adam", changed=["train.schedule: cosine"]))
    project.commit({"params.yaml": PARAMS.replace("baseline: floor", "baseline: strategy/cosine")}, "Baseline cosine")
    return project
