"""What DVC keeps of another commit, brought through DVC: from its cache, or from a remote."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from assay.core.errors import FULL
from assay.runtime import git
from assay.runtime.dvc_cli import DVC


def fetch(homes: Iterable[Path], path: str, commit: str, out: Path) -> str:
    """Have DVC bring `path` as of `commit` to `out`; the first error where no project of `homes` has it, else "".

    Raises OSError where there is no room for it. A work
    tree has a DVC cache of its own, unless it was configured; the main one may have what it lacks.
    """
    errors = []
    for home in dict.fromkeys(homes):
        command = ["get", *git.from_top(home, path), "--rev", commit, "--out", str(out)]
        done = subprocess.run([*DVC, *command], capture_output=True, encoding="utf-8", errors="replace")
        if not done.returncode and out.exists():
            return ""
        shutil.rmtree(out, ignore_errors=True)  # which leaves a file
        with suppress(OSError):
            out.unlink()
        for number in FULL:  # DVC says the system's number, and no pull would help
            if f"[Errno {number}]" in done.stderr:
                raise OSError(number, os.strerror(number), str(out))
        errors += [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")][:1]
    return next(iter(errors), "no message").removeprefix("ERROR: ")
