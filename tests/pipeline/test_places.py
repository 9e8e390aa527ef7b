"""Wherever the project lies, and whoever runs it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path

from support.project import Project, create
from support.weights import digests


def moved(project: Project, where: Path) -> Project:
    where.parent.mkdir(parents=True)
    project.root.rename(where)
    return Project(where, project.home)


def test_spaces_a_detached_head_and_no_identity(project: Project, tmp_path: Path) -> None:
    here = moved(project, tmp_path / "my models" / "first try")
    for key in ("name", "email"):
        here.git("config", "--local", "--unset", f"user.{key}")
    head = here.git("rev-parse", "HEAD")
    here.git("checkout", "--quiet", "--detach")
    said = here.dvc("exp", "run", "--name", "one", "-S", "lr=0.02").stdout
    assert "Git knew no identity" in said
    assert "Git knew no identity" not in here.dvc("exp", "run", "--name", "two", "-S", "lr=0.01").stdout
    before = here.git("status", "--porcelain")
    here.dvc("exp", "run", "--temp", "--name", "three", "-S", "seed=2")
    assert here.git("status", "--porcelain") == before
    assert here.git("rev-parse", "HEAD") == head and here.git("branch", "--show-current") == ""
    assert set(here.dvc("exp", "list", "--name-only").stdout.split()) == {"one", "two", "three"}


def test_letters_beyond_ascii(project: Project, tmp_path: Path) -> None:
    """The workspace run works. --temp fails inside DVC, which writes an ASCII file, before any of our code runs."""
    here = moved(project, tmp_path / "Größe" / "проект")
    here.dvc("exp", "run", "-S", "lr=0.02")
    assert here.metrics["n"] == 3
    before = digests(here), here.git("status", "--porcelain")
    done = here.dvc("exp", "run", "--temp", "-S", "lr=0.01", ok=False)
    assert done.returncode == 0 or "'ascii' codec can't encode" in done.stderr
    assert (digests(here), here.git("status", "--porcelain")) == before


def test_a_subfolder_of_a_repository(tmp_path: Path) -> None:
    """The project is one folder of many; dvc runs from a folder below it; --temp and --rev find their way."""
    made = create(tmp_path / "made")
    shutil.rmtree(made.root / ".git")
    here = Project(tmp_path / "many" / "vision", made.home)
    shutil.copytree(made.root, here.root)
    (tmp_path / "many" / "README").write_text("many projects\n", encoding="utf-8")
    here.git("init", "--quiet", "--initial-branch=main", str(here.root.parent))
    here.commit("start")
    here.dvc("repro", "--quiet")
    here.commit("first strategy")
    here.tag("strategy/first")
    here.edit("params.yaml", "baseline: floor", "baseline: strategy/first")

    below = [sys.executable, "-m", "dvc", "exp", "run", "-P", "-S", "../../params.yaml:lr=0.01"]
    said = here.run(*below, cwd=here.root / "src/tasks").stdout
    assert "vs strategy/first" in said and here.metrics["n"] == 3
    assert all(line.split()[-1].startswith("vision/") for line in here.git("status", "--porcelain").splitlines())

    # Other training data than the baseline's: its own come from DVC's cache, through the revision.
    accepted = json.loads(here.read("data/split/train/manifest.json"))["content"]
    here.dvc("exp", "run", "--temp", "--name", "other", "-S", "split.validation=0.3")
    here.dvc("exp", "apply", "other")
    baseline = json.loads(here.read("arms/baseline.json"))
    assert baseline["measurement"]["identity"]["data"] == accepted
    assert baseline["measurement"]["left_out"] > 0
    assert json.loads(here.read("data/split/train/manifest.json"))["content"] != accepted

    # What provenance compares is relative to the project, not to the repository.
    (here.root / "src/assay/learning/notes.txt").write_text("mine\n", encoding="utf-8")
    done = here.stage("context", ok=False)
    assert done.returncode == 4 and "git add src/assay/learning/notes.txt" in done.stderr


def test_a_python_without_our_packages(project: Project, tmp_path: Path) -> None:
    """No virtual environment is active, and `python` is another one: a sentence, and nothing is lost."""
    bare = tmp_path / "bin" / "python"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    before = digests(project)
    done = project.dvc("repro", ok=False, PATH=f"{bare.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    assert "has no module" in done.stderr and "activate the environment that Assay is installed in" in done.stderr
    assert digests(project) == before
