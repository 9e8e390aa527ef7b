"""A clean/smudge filter on code and results, as git-lfs and git-crypt set one up: Git holds other bytes than files."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from support.project import Project

FILTERED = ("src/tasks/digits/*.py", "results/*.csv")
WRITTEN = ("src/tasks/digits/metrics.py", "results/replicates.csv", "results/confirmation.csv")
ROT13 = "tr A-Za-z N-ZA-Mn-za-m"

pytestmark = pytest.mark.extra


def filtered(project: Project, name: str) -> None:
    """`project`, whose code and tables go through the filter `name` from here on, committed."""
    project.git("checkout", "--quiet", "--force", "HEAD", "--", ".")
    lines = (f"{pattern} filter={name} diff={name}\n" for pattern in FILTERED)
    (project.root / ".gitattributes").write_text("".join(lines), encoding="utf-8")
    project.git("add", "--renormalize", ".")
    project.commit("filter code and tables")


def accepted(project: Project) -> dict[str, bytes]:
    """Path → what Git holds of it, in the tree that `accept` tagged; nothing is edited, in no eyes."""
    project.dvc("exp", "run", "-S", "lr=0.02", "-n", "seen")
    project.assay("accept", "seen", "seen")
    for path in WRITTEN:  # what people read is in the work tree, as it was before there was a filter
        assert project.read(path).startswith('"""' if path.endswith(".py") else "arm,")
    check_unedited(project)
    return {path: blob(project, f"strategy/seen:{path}") for path in WRITTEN}


def check_unedited(project: Project) -> None:
    assert project.git("status", "--porcelain") == ""
    said = project.assay("status").stdout
    assert "edited" not in said and "params.yaml" not in said, said


def blob(project: Project, name: str) -> bytes:
    """What Git holds under `name`, past every filter."""
    return subprocess.run(["git", "cat-file", "blob", name], cwd=project.root, capture_output=True, check=True).stdout


def test_accept_sweep_and_status_behind_a_filter_of_git_config(ready: Project) -> None:
    for way in ("clean", "smudge"):
        ready.git("config", f"filter.rot13.{way}", ROT13)
    filtered(ready, "rot13")
    code, *tables = accepted(ready).values()
    assert b"vzcbeg ahzcl" in code and all(table.startswith(b"nez,") for table in tables)
    found = json.loads(ready.assay("sweep", "-S", "lr=0.01,0.003", "--json").stdout)
    assert found["failed"] == {} and len(found["tried"]) == 2
    check_unedited(ready)


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_accept_sweep_and_status_under_git_lfs(ready: Project) -> None:
    ready.git("lfs", "install", "--local")
    filtered(ready, "lfs")
    assert all(held.startswith(b"version https://git-lfs") for held in accepted(ready).values())


@pytest.mark.skipif(shutil.which("git-crypt") is None, reason="git-crypt is not installed")
def test_accept_sweep_and_status_under_git_crypt(ready: Project) -> None:
    ready.run("git-crypt", "init")
    filtered(ready, "git-crypt")
    assert all(held.startswith(b"\0GITCRYPT\0") for held in accepted(ready).values())
