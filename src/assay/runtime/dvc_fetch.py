"""What DVC keeps of another commit, brought through DVC: from its cache, or from a remote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from assay.core.errors import FULL
from assay.runtime import git

#: an import would take a second, and whatever `queue.py` lies in the project is not to be run (`runtime.dvc_cli`)
_GET = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "from assay.runtime.dvc_get import main; sys.exit(main(*sys.argv[1:]))"
)


def fetch(homes: Iterable[Path], path: str, commit: str, out: Path) -> str:
    """Have DVC bring `path` as of `commit` to `out`; the first error where no project of `homes` has it, else "".

    Raises OSError where there is no room for it. A work
    tree has a DVC cache of its own, unless it was configured; the main one may have what it lacks.
    """
    errors = []
    for home in dict.fromkeys(homes):
        top, inside = git.from_top(home, path)
        command = [sys.executable, "-c", _GET, top, inside, commit, str(out)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if not done.returncode and out.exists():
            return ""
        shutil.rmtree(out, ignore_errors=True)  # which leaves a file
        with suppress(OSError):
            out.unlink()
        if done.returncode in FULL:
            raise OSError(done.returncode, os.strerror(done.returncode), str(out))
        errors.append(" ".join(done.stdout.split()) or "no message")
    return next(iter(errors), "no message")
