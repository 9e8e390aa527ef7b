"""Wherever the project lies, and whoever runs it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.core.paths import CachePaths
from assay.runtime import dvc_yaml
from support.project import Project
from support.weights import digests


def moved(project: Project, where: Path) -> Project:
    where.parent.mkdir(parents=True)
    project.root.rename(where)
    return Project(where, project.home)


def worktree(project: Project, where: Path, inside: str = "") -> Project:
    """The project's HEAD in a work tree of its own at `where`; `inside`: the project's folder in the repository."""
    project.git("worktree", "add", "--quiet", "--detach", str(where))
    return Project(where / inside, project.home)


def reused(project: Project, arm: str) -> list[bool]:
    """Of each replicate of `arm`: whether it came from the cache."""
    measured = json.loads(project.read(f"arms/{arm}.json"))["measurement"]
    return [one["reused"] for one in measured["replicates"]]


@pytest.mark.extra
def test_spaces_a_detached_head_and_no_identity(project: Project, tmp_path: Path) -> None:
    here = moved(project, tmp_path / "my models" / "first try")
    for key in ("name", "email"):
        here.git("config", "--local", "--unset", f"user.{key}")
    head = here.git("rev-parse", "HEAD")
    here.git("checkout", "--quiet", "--detach")
    said = here.dvc("exp", "run", "--name", "one", "-S", "lr=0.02").stdout
    assert "Git knew no identity" in said
    assert "Git knew no identity" not in here.dvc("exp", "run", "--name", "two", "-S", "lr=0.01").stdout
    before = here.git("status", "--porcelain")
    here.dvc("exp", "run", "--temp", "--name", "three", "-S", "seed=2")
    assert here.git("status", "--porcelain") == before
    assert here.git("rev-parse", "HEAD") == head and here.git("branch", "--show-current") == ""
    assert set(here.dvc("exp", "list", "--name-only").stdout.split()) == {"one", "two", "three"}


def test_letters_beyond_ascii(project: Project, tmp_path: Path) -> None:
    """The workspace run works. --temp fails inside DVC, which writes an ASCII file, before any of our code runs."""
    here = moved(project, tmp_path / "Größe" / "проект")
    here.dvc("exp", "run", "-S", "lr=0.02")
    assert here.metrics["n"] == 3
    before = digests(here), here.git("status", "--porcelain")
    done = here.dvc("exp", "run", "--temp", "-S", "lr=0.01", ok=False)
    assert done.returncode == 0 or "'ascii' codec can't encode" in done.stderr
    assert (digests(here), here.git("status", "--porcelain")) == before


@pytest.mark.extra
def test_a_subfolder_of_a_repository(nested: Project, tmp_path: Path) -> None:
    """The project is one folder of many; dvc runs from a folder below it; --temp and --rev find their way."""
    here = nested
    below = [sys.executable, "-m", "dvc", "exp", "run", "-P", "-S", "../../params.yaml:lr=0.01"]
    said = here.run(*below, cwd=here.root / "src/tasks").stdout
    assert "vs strategy/first" in said and here.metrics["n"] == 3
    assert all(line.split()[-1].startswith("vision/") for line in here.git("status", "--porcelain").splitlines())

    # Other training data than the baseline's: its own come from DVC's cache, through the revision.
    accepted = json.loads(here.read("data/split/train/manifest.json"))["content"]
    here.dvc("exp", "run", "--temp", "--name", "other", "-S", "split.validation=0.3")
    here.dvc("exp", "apply", "other")
    baseline = json.loads(here.read("arms/baseline.json"))
    assert baseline["measurement"]["identity"]["data"] == accepted
    assert baseline["measurement"]["left_out"] > 0
    assert json.loads(here.read("data/split/train/manifest.json"))["content"] != accepted

    # A work tree of the repository finds what the project trained, in the folder of the same name.
    here.commit("measured")
    there = worktree(here, tmp_path / "beside", inside="vision")
    there.dvc("repro", "--quiet")
    assert reused(there, "baseline") == reused(there, "candidate") == [True] * 3
    assert not (there.root / ".dvc/tmp/assay").exists()

    # What provenance compares is relative to the project, not to the repository.
    here.edit("src/tasks/digits/learning.py", "import torch\n", "import torch\nimport above\n")
    (here.root.parent / "above.py").write_text("X = 1\n", encoding="utf-8")
    done = here.stage("context", ok=False)
    assert done.returncode == 4 and "git add ../above.py" in done.stderr


@pytest.mark.extra
def test_work_trees_share_what_was_trained(tried: Project, tmp_path: Path) -> None:
    """What the main work tree trained no other trains again, in the workspace or beside it, and the other way round."""
    assert reused(tried, "candidate") == [False] * 3
    expected = digests(tried, "predictions"), tried.metrics
    there = worktree(tried, tmp_path / "second tree")
    there.dvc("exp", "run", "--name", "same", "-S", "lr=0.02")
    assert reused(there, "baseline") == reused(there, "candidate") == [True] * 3
    assert (digests(there, "predictions"), there.metrics) == expected
    assert not (there.root / ".dvc/tmp/assay").exists()

    there.dvc("exp", "run", "--temp", "--name", "new", "-S", "lr=0.005")
    tried.git("checkout", "--quiet", "HEAD", "--", "params.yaml")
    tried.dvc("exp", "run", "--name", "again", "-S", "lr=0.005")
    assert reused(tried, "candidate") == [True] * 3
    shown = [json.loads(one.assay("cache", "--json").stdout) for one in (tried, there)]
    assert shown[0] == shown[1] and shown[0]["entries"] > 0

    assert dvc_yaml.store(there.root) == dvc_yaml.store(tried.root)


def test_a_work_tree_without_a_project_in_the_main_one_keeps_its_own(fresh: Project, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    fresh.git("clone", "--quiet", "--bare", str(fresh.root), str(bare))
    (tmp_path / "bare.git" / ".dvc").mkdir()
    one = worktree(Project(bare, fresh.home), tmp_path / "of a bare one")
    fresh.git("checkout", "--quiet", "--orphan", "empty")
    fresh.git("rm", "-r", "--quiet", "--cached", ".")
    shutil.rmtree(fresh.root / ".dvc")
    fresh.git("worktree", "add", "--quiet", str(tmp_path / "of an empty one"), "main")
    separate = tmp_path / "separate"
    fresh.git("clone", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"), str(bare), str(separate))
    for root in (one.root, tmp_path / "of an empty one", separate, fresh.root):
        assert dvc_yaml.store(root) == CachePaths(root)


def test_only_a_work_tree_costs_a_call_of_git(fresh: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = worktree(fresh, tmp_path / "there")
    monkeypatch.setenv("PATH", "")
    assert dvc_yaml.store(fresh.root) == CachePaths(fresh.root)
    with pytest.raises(UsageError, match="git is not installed"):
        dvc_yaml.store(there.root)


@pytest.mark.parametrize("path", [{"PATH": ""}, {"PATH": "/usr/bin:/bin"}], ids=["empty", "without"])
def test_dvc_by_its_full_path_where_no_assay_is_found(project: Project, path: dict[str, str]) -> None:
    """As VS Code, cron and pipx may start it: the last line of DVC names the mend, and nothing is lost."""
    before = digests(project)
    done = project.dvc("repro", ok=False, **path)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("ERROR: ") and "assay stage context" in line
    assert "Start dvc where the environment of Assay is active, or its bin folder on PATH" in line
    assert digests(project) == before
