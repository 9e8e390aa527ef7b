"""DVC as we start it: no file of the project's passes for a module of Python's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from assay.history import killed_run_leftovers
from assay.runtime.dvc_cli import DVC

SOURCES = Path(__file__).parents[2] / "src"


def test_a_file_in_the_current_folder_is_no_module(tmp_path: Path) -> None:
    """`queue.py` was executed by `assay rebaseline`, tracked or not; the same with any module that DVC imports."""
    for name in ("queue", "dvc", "shlex", "configobj", "git"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')\n", encoding="utf-8")
    said = subprocess.run([*DVC, "version", "--quiet"], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0 and not (tmp_path / "executed").exists(), said.stderr
    assert killed_run_leftovers._is_driver([*DVC, "exp", "run"]) and not killed_run_leftovers._is_driver([*DVC, "pull"])


def test_nothing_of_ours_starts_it_otherwise() -> None:
    started = re.compile(r"""["']-m["'], ["']dvc["']""")
    assert [path for path in SOURCES.rglob("*.py") if started.search(path.read_text(encoding="utf-8"))] == []
