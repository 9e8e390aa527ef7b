"""A project with an experiment worth accepting; accepted once, so that its replicates are at hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from support.project import Project, accepted


def build(folder: Path) -> None:
    """`fast-lr` on strategy/first, in the work tree; then a copy in which it was accepted."""
    project = accepted(folder)
    project.git("config", "user.name", "Ada Lovelace")
    project.git("config", "user.email", "ada@example.org")
    project.dvc("exp", "run", "-S", "lr=0.02", "-n", "fast-lr")
    done = project.copy(folder / "done")
    done.assay("accept", "fast-lr", "fast")
    for part in (".dvc/cache", ".dvc/tmp/assay"):  # what was measured once need not be measured again
        shutil.copytree(done.root / part, project.root / part, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def gallery(workshop: Path) -> Path:
    """Folder with `project` (before) and `done/project` (after accepting)."""
    folder = workshop / "template-acceptance"
    with FileLock(workshop / "acceptance.lock"):
        if not (folder / "built").exists():
            build(folder)
            (folder / "built").touch()
    return folder


@pytest.fixture
def ready(gallery: Path, tmp_path: Path) -> Project:
    return Project(gallery / "project", gallery / "home").copy(tmp_path)


@pytest.fixture
def done(gallery: Path, tmp_path: Path) -> Project:
    return Project(gallery / "done" / "project", gallery / "home").copy(tmp_path / "done")


@pytest.fixture(scope="session")
def _measured(gallery: Path, workshop: Path) -> Path:
    folder = workshop / "template-measured"
    with FileLock(workshop / "measured.lock"):
        if not (folder / "project").exists():
            made = Project(gallery / "done" / "project", gallery / "home").copy(folder / "new")
            made.dvc("repro", "--quiet", "baseline", "evaluate")
            made.commit("measure against strategy/fast")
            made.root.rename(folder / "project")
    return folder


@pytest.fixture
def measured(_measured: Path, gallery: Path, tmp_path: Path) -> Project:
    """strategy/fast was measured as the baseline, and that was committed."""
    return Project(_measured / "project", gallery / "home").copy(tmp_path / "measured")
