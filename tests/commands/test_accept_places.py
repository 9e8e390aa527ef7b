"""Accepting where projects really live: a branch with work of its own, a folder of a larger repository, two clones."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from assay.core.yaml12 import parse
from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project


def names(project: Project) -> list[str]:
    return list(fold(read(project.root).tags).strategies)


def with_caches(project: Project, other: Project) -> None:
    """What `other` trained, and what DVC kept of it, is at hand in `project`."""
    for part in (".dvc/cache", ".dvc/tmp/assay"):
        shutil.copytree(other.root / part, project.root / part, dirs_exist_ok=True)


def cloned(project: Project, bare: Path, folder: Path) -> Project:
    """A clone with the caches of `project`, so that nothing trains again."""
    project.git("clone", "--quiet", "-b", "main", str(bare), str(folder))
    clone = Project(folder, project.home)
    with_caches(clone, project)
    clone.git("config", "user.name", "Grace Hopper")
    clone.git("config", "user.email", "grace@example.org")
    return clone


def test_a_branch_is_merged_measured_and_confirmed_as_merged(ready: Project) -> None:
    """The branch never ran: its verdict comes from the merge, whose results belong to neither parent."""
    ready.git("stash", "--quiet")
    ready.git("switch", "--quiet", "-c", "feature")
    ready.edit("params.yaml", "lr: 0.003", "lr: 0.02")
    branch = ready.commit("faster")
    ready.git("switch", "--quiet", "main")
    (ready.root / "NOTES.md").write_text("notes\n", encoding="utf-8")
    main = ready.commit("go on")
    ready.assay("accept", "feature", "fast")
    assert names(ready) == ["fast"]
    assert ready.git("show", "--no-patch", "--format=%P", "strategy/fast^{}").split() == [main, branch]
    assert ready.git("show", "strategy/fast:NOTES.md") == "notes"
    metrics = json.loads(ready.git("show", "strategy/fast:results/metrics.json"))
    assert metrics["verdict"] == "progress"
    assert parse(ready.git("show", "HEAD:params.yaml"))["baseline"] == "strategy/fast"
    assert ready.git("status", "--porcelain") == ""
    assert ready.dvc("status", "--json", "train", ok=False).stdout.strip() == "{}"


@pytest.mark.extra
def test_a_folder_of_a_larger_repository(nested: Project, ready: Project) -> None:
    """Accept and sweep from below the project. The tag is a commit of all of the repository, and so an edit beside
    the project is refused like one in it."""
    here = nested
    with_caches(here, ready)
    here.git("config", "user.name", "Ada Lovelace")
    here.git("config", "user.email", "ada@example.org")
    here.dvc("exp", "run", "-S", "lr=0.02", "-n", "fast-lr")
    (here.root.parent / "README").write_text("many projects, edited\n", encoding="utf-8")

    below = Project(here.root / "src" / "tasks", ready.home)
    refused = below.run(*_assay("accept", "fast-lr", "fast"), ok=False)
    assert refused.returncode == 4 and "README is edited, in neither HEAD nor fast-lr" in refused.stderr
    here.git("checkout", "--quiet", "--", "../README")
    below.run(*_assay("accept", "fast-lr", "fast"))
    assert names(here) == ["fast"]
    assert here.git("show", "strategy/fast:README") == "many projects"
    assert json.loads(here.git("show", "strategy/fast:vision/results/metrics.json"))["verdict"] == "progress"
    assert parse(here.git("show", "HEAD:vision/params.yaml"))["baseline"] == "strategy/fast"
    assert here.git("status", "--porcelain") == ""

    said = below.run(*_assay("sweep", "-S", "lr=0.01,0.03", "--json"))
    assert [one["candidate"]["n"] for one in json.loads(said.stdout)["tried"]] == [3, 3]


def _assay(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "assay", *arguments]


@pytest.mark.extra
def test_two_clones_accept_and_one_wins(ready: Project, tmp_path: Path) -> None:
    """Both land at home; the second is told by Git when it pushes, takes over what won, and has lost nothing."""
    bare = tmp_path / "bare.git"
    ready.git("init", "--quiet", "--bare", str(bare))
    ready.git("remote", "add", "origin", str(bare))
    ready.git("push", "--quiet", "origin", "main", "strategy/first")
    ready.dvc("exp", "push", "origin", "fast-lr", "--no-cache")
    other = cloned(ready, bare, tmp_path / "other")
    other.dvc("exp", "pull", "origin", "fast-lr", "--no-cache")
    other.dvc("checkout", "--quiet")
    shown = json.loads(other.assay("compare", "fast-lr", "--rescore", "--json").stdout)
    assert shown["verdict"] == "progress" and shown["new_examples"]["examples"] > 0, "the clone verifies the evidence"
    ready.assay("accept", "fast-lr", "fast")
    other.assay("accept", "fast-lr", "faster")
    ready.git("push", "--quiet", "--atomic", "origin", "main", "strategy/fast")
    refused = other.run("git", "push", "--atomic", "origin", "main", "strategy/faster", ok=False)
    assert refused.returncode != 0 and "rejected" in refused.stderr
    assert names(other) == ["faster"], "nothing lost"
    other.git("fetch", "--quiet", "--tags", "origin")
    assert set(names(other)) == {"fast", "faster"}


def test_a_cache_that_takes_nothing_is_refused_by_what_works_in_it(ready: Project) -> None:
    """Whole repositories lie there while these run: elsewhere they might not fit. What reads alone goes on."""
    cache, before = ready.root / ".dvc/tmp/assay", ready.git("for-each-ref")
    shutil.rmtree(cache)
    cache.write_text("mine", encoding="utf-8")
    sentence = f"assay: {cache} is no folder; next: rm '{cache}'"
    for command in ("accept fast-lr fast", "sweep -S lr=0.01,0.02", "ablate -S lr=0.01 -S model.dropout=0.2"):
        refused = ready.assay(*command.split(), ok=False)
        assert (refused.returncode, refused.stderr.splitlines()[-1]) == (2, sentence)
    assert ready.git("for-each-ref") == before
    held = ready.assay("guard", "strategy/first", "HEAD")
    assert "held: default" in held.stdout and held.stderr == f"nothing is kept for re-use: {sentence[7:]}\n"
