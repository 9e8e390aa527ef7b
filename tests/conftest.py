"""Repositories built once per run of the suite, and copied for each test that changes one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))

from support.project import Project, accepted, create


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


def _once(workshop: Path, name: str, build: Callable[[Path], Project]) -> Project:
    folder = workshop / f"template-{name}"
    with FileLock(workshop / f"{name}.lock"):
        if not (folder / "built").exists():
            build(folder)
            (folder / "built").touch()
    return Project(folder / "project", folder / "home")


@pytest.fixture
def fresh(workshop: Path, tmp_path: Path) -> Project:
    """A project that was committed and never run; its baseline is the floor."""
    return _once(workshop, "fresh", create).copy(tmp_path)


@pytest.fixture(scope="session")
def _first(workshop: Path) -> Project:
    return _once(workshop, "accepted", accepted)


@pytest.fixture
def project(_first: Project, tmp_path: Path) -> Project:
    """A project with the accepted baseline strategy/first, everything run and committed."""
    return _first.copy(tmp_path)
