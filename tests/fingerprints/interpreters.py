"""Other Pythons on this machine, without any package: what they compute from the same sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: where pyenv keeps them, and whatever the running one lies beside: another HOME must not silence these tests
FOLDERS = (
    Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",
    Path(sys.base_prefix).resolve().parent,
)
SOURCE = Path(__file__).parents[2] / "src"
SERIES = ("3.10", "3.11", "3.12", "3.13")


def interpreter(series: str) -> Path:
    """An interpreter such as 3.10; the test is skipped where there is none."""
    found = [path for folder in FOLDERS for path in sorted(folder.glob(f"{series}.*/bin/python"))]
    if not found:
        pytest.skip(f"no Python {series} under {' or '.join(map(str, FOLDERS))}")
    return found[-1]


def output(series: str, program: str, *arguments: str) -> str:
    """What `program` prints there; it sees src and tests/fingerprints and nothing else."""
    path = os.pathsep.join([str(SOURCE), str(Path(__file__).parent)])
    environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "random"}
    command = [str(interpreter(series)), "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
