"""The user's repository and environment, made once and copied."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from support.project import Project
from support.shop import Shop, build


@pytest.fixture(scope="session")
def _shop(workshop: Path) -> Shop:
    folder = workshop / "template-shop"
    with FileLock(workshop / "shop.lock"):
        if not (folder / "built").exists():
            folder.mkdir()
            build(folder)
            (folder / "built").touch()
    return Shop(Project(folder / "shop/rings", folder / "home"), folder / "env/bin")


@pytest.fixture
def shop(_shop: Shop, tmp_path: Path) -> Shop:
    return _shop.copy(tmp_path)
