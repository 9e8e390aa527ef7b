"""A project with an experiment worth accepting; accepted once, so that its replicates are at hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from support.project import Project, compiled


class Gallery(NamedTuple):
    """The same project before and after `assay accept fast-lr fast`."""

    ready: Project
    done: Project


def build(ready: Project, done: Path) -> None:
    """`fast-lr` on strategy/first, in the work tree; then a copy at `done` in which it was accepted."""
    ready.git("config", "user.name", "Ada Lovelace")
    ready.git("config", "user.email", "ada@example.org")
    ready.dvc("exp", "run", "-S", "lr=0.02", "-n", "fast-lr")
    accepted = ready.copy(done)
    accepted.assay("accept", "fast-lr", "fast")
    compiled(accepted, ".dvc/tmp/assay/trees")
    for part in (".dvc/cache", ".dvc/tmp/assay"):  # what was measured once need not be measured again
        shutil.copytree(accepted.root / part, ready.root / part, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def gallery(_first: Project, workshop: Path) -> Gallery:
    folder = workshop / "template-acceptance"
    named = Gallery(Project(folder / "project", _first.home), Project(folder / "done" / _first.root.name, _first.home))
    with FileLock(workshop / "acceptance.lock"):
        if not (folder / "built").exists():
            folder.mkdir()
            build(_first.copy(folder), named.done.root.parent)
            (folder / "built").touch()
    return named


@pytest.fixture
def ready(gallery: Gallery, tmp_path: Path) -> Project:
    return gallery.ready.copy(tmp_path)


@pytest.fixture
def done(gallery: Gallery, tmp_path: Path) -> Project:
    return gallery.done.copy(tmp_path / "done")


@pytest.fixture(scope="session")
def _measured(gallery: Gallery, workshop: Path) -> Project:
    folder = workshop / "template-measured"
    with FileLock(workshop / "measured.lock"):
        if not (folder / "built").exists():
            made = gallery.done.copy(folder)
            made.dvc("repro", "--quiet", "baseline", "evaluate")
            made.commit("measure against strategy/fast")
            (folder / "built").touch()
    return Project(folder / gallery.done.root.name, gallery.done.home)


@pytest.fixture
def measured(_measured: Project, tmp_path: Path) -> Project:
    """strategy/fast was measured as the baseline, and that was committed."""
    return _measured.copy(tmp_path / "measured")
