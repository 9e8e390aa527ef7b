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


def filtered(project: Project, name: str) -> None:
    """`project`, whose code and tables go through the filter `name` from here on, committed."""
    project.git("checkout", "--quiet", "--force", "HEAD", "--", ".")
    lines = (f"{pattern} filter={name} diff={name}\n" for pattern in FILTERED)
    (project.root / ".gitattributes").write_text("".join(lines), encoding="utf-8")
    project.git("add", "--renormalize", ".")
    project.commit("filter code and tables")


def accepted_and_swept(project: Project) -> dict[str, bytes]:
    """Path → what Git holds of it, in the tree that `accept` tagged; nothing is edited, sweep and status go on."""
    project.dvc("exp", "run", "-S", "lr=0.02", "-n", "seen")
    project.assay("accept", "seen", "seen")
    assert project.git("status", "--porcelain") == ""
    assert "params.yaml" not in (said := project.assay("status").stdout) and "edited" not in said, said
    found = json.loads(project.assay("sweep", "-S", "lr=0.01,0.003", "--json").stdout)
    assert found["failed"] == {} and len(found["tried"]) == 2
    assert project.git("status", "--porcelain") == ""
    assert "edited" not in project.assay("status").stdout
    for path in WRITTEN:  # what people read is in the work tree, as it was before there was a filter
        assert project.read(path).startswith('"""' if path.endswith(".py") else "arm,")
    return {path: blob(project, f"strategy/seen:{path}") for path in WRITTEN}


def blob(project: Project, name: str) -> bytes:
    """What Git holds under `name`, past every filter."""
    return subprocess.run(["git", "cat-file", "blob", name], cwd=project.root, capture_output=True, check=True).stdout


def test_accept_sweep_and_status_behind_a_filter_of_git_config(ready: Project) -> None:
    for way in ("clean", "smudge"):
        ready.git("config", f"filter.rot13.{way}", ROT13)
    filtered(ready, "rot13")
    code, *tables = accepted_and_swept(ready).values()
    assert b"vzcbeg ahzcl" in code and all(table.startswith(b"nez,") for table in tables)


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_accept_sweep_and_status_under_git_lfs(ready: Project) -> None:
    ready.git("lfs", "install", "--local")
    filtered(ready, "lfs")
    assert all(held.startswith(b"version https://git-lfs") for held in accepted_and_swept(ready).values())


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("git-crypt") is None, reason="git-crypt is not installed")
def test_accept_sweep_and_status_under_git_crypt(ready: Project) -> None:
    ready.run("git-crypt", "init")
    filtered(ready, "git-crypt")
    assert all(held.startswith(b"\0GITCRYPT\0") for held in accepted_and_swept(ready).values())
