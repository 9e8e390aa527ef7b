"""What DVC keeps of another commit, brought through DVC: from its cache, or from a remote."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from assay.arms.dvc_program import DVC
from assay.outside import git


def fetch(homes: Iterable[Path], path: str, commit: str, out: Path) -> str:
    """Have DVC bring `path` as of `commit` to `out`; the first error where no project of `homes` has it, else "".

    A work tree has a DVC cache of its own, unless it was configured; the main one may have what it lacks.
    """
    errors = []
    for home in dict.fromkeys(homes):
        command = ["get", *git.from_top(home, path), "--rev", commit, "--out", str(out)]
        done = subprocess.run([*DVC, *command], capture_output=True, text=True)
        if not done.returncode and out.exists():
            return ""
        shutil.rmtree(out, ignore_errors=True)
        errors += [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")][:1]
    return next(iter(errors), "no message").removeprefix("ERROR: ")
