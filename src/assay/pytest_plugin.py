"""The pytest plug-in: a fixture, `assay_task`. pytest loads it by its entry point (pyproject.toml), in any project.

So it imports nothing but pytest until a test asks for the fixture. `pytest -p no:assay` leaves it out.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def assay_task(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The task of the project around the test: its members, its metric, `check()` for its contract."""
    project_task = importlib.import_module("assay.testing.project_task")
    with project_task.around(request.path.parent) as task:
        yield task
