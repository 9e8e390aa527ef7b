"""Repositories built once per run of the suite, and copied for each test that changes one."""

from __future__ import annotations

import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))

from support.project import Project, accepted, create, nest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", metavar="K/N", help="run part K (0 to N - 1) of N, drawn by the names of the functions")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A part of the tests where one is asked for: all cases of a function stay in one part, in every run alike."""
    if asked := config.getoption("--part"):
        number, parts = (int(one) for one in asked.split("/"))
        kept: dict[bool, list[pytest.Item]] = {True: [], False: []}
        for one in items:
            kept[zlib.crc32(one.nodeid.partition("[")[0].encode()) % parts == number].append(one)
        config.hook.pytest_deselected(items=kept[False])
        items[:] = kept[True]


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


@pytest.fixture(scope="session")
def _tried(_first: Project, workshop: Path) -> Project:
    def build(where: Path) -> Project:
        made = _first.copy(where)
        made.dvc("exp", "run", "--name", "tried", "-S", "lr=0.02")
        return made

    return Project(_once(workshop, "tried", build).root, _first.home)


@pytest.fixture
def tried(_tried: Project, tmp_path: Path) -> Project:
    """`project` after the experiment `tried`: what it set and measured is in the work tree."""
    return _tried.copy(tmp_path)


@pytest.fixture(scope="session")
def _nested(_first: Project, workshop: Path) -> Project:
    _once(workshop, "nested", lambda where: nest(_first, where))
    return Project(workshop / "template-nested/many/vision", _first.home)


@pytest.fixture
def nested(_nested: Project, tmp_path: Path) -> Project:
    """The folder `vision` of a larger repository: strategy/first ran there and was tagged, and is the baseline."""
    shutil.copytree(_nested.root.parent, tmp_path / "many", symlinks=True)
    return Project(tmp_path / "many/vision", _nested.home)
