"""What DVC says when it fails, told as what it means: real DVC, a real limit on what may be written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from gitproject import Project

from assay.scratch.scratch_repo import failed

STAGES = """\
stages:
  well:
    cmd: echo "KeyError. handled" | tr . ":"
  bad:
    cmd: exit 3
  worse:
    cmd: python -c "raise ValueError(3)"
"""
#: no file may grow beyond 1 MB: what a full disk does, without filling one
LIMITED = """\
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    {call}
except OSError as error:
    sys.exit(error.errno)
"""
FETCH = "from assay.history.dvc_outputs import fetch; fetch(Path(), 'HEAD', 'that', ['data'], Path(sys.argv[1]))"
GET = "from assay.runtime.dvc_fetch import fetch; print(fetch([Path.cwd()], 'data', 'HEAD', Path(sys.argv[1]) / 'out'))"


def dvc(project: Project, *arguments: str, ok: bool = True) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=project.path, capture_output=True, text=True)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.extra
def test_a_full_disk_is_no_missing_data_and_an_advertisement_no_reason(project: Project, tmp_path: Path) -> None:
    """Whoever is told `dvc pull` where the disk is full fills it once more."""
    dvc(project, "init", "--quiet")
    project.write({"data/large.txt": "x" * 3_000_000, "dvc.yaml": STAGES})
    dvc(project, "add", "data")
    project.commit()
    for call in (FETCH, GET):
        command = [sys.executable, "-c", LIMITED.format(call=call), str(tmp_path / "there")]
        done = subprocess.run(command, cwd=project.path, capture_output=True, text=True)
        assert done.returncode == errno.EFBIG, done.stdout + done.stderr

    said = dvc(project, "repro", "well", "bad", ok=False)
    assert failed("no", said, "x").problem.startswith("no: failed to reproduce 'bad': failed to run: exit 3"), said
    assert failed("no", dvc(project, "repro", "worse", ok=False), "x").problem == "no: ValueError: 3"
    (project.path / ".dvc/tmp").rename(project.path / ".dvc/elsewhere")
    (project.path / ".dvc/tmp").touch()
    said = dvc(project, "repro", "well", ok=False)
    assert "dvc.org/support" in said.splitlines()[-1], "else there is nothing to leave out"
    assert failed("no", said, "x").problem.startswith("no: unexpected error - [Errno 17] ")
