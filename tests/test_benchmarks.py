"""Benchmarks that wait for a machine we seldom have: they run here, on little of everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.extra
def test_the_script_for_a_gpu_prints_every_table() -> None:
    env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["sh", ROOT / "benchmarks/gpu.sh", "cpu"], env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    heads = ("auto trains", "of as many times one", "float32 ÷ this", "twice the same seeds", "with a fresh baseline")
    assert all(head in done.stdout for head in heads), done.stdout
    assert done.stdout.count("the same bytes") == 2
