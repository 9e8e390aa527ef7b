"""`baseline:` means one commit, is measured by its own code, and is fresh or refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.replicates import cache_pruning
from assay.runtime import dvc_yaml
from support.project import Project, environment
from support.stages import stages
from support.weights import digests

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost")


def refused(project: Project, name: str) -> str:
    """The sentence of the first stage when `baseline:` is `name`."""
    before = project.read("params.yaml")
    project.edit("params.yaml", "baseline: strategy/first", f"baseline: {name}")
    done = project.stage("context", ok=False)
    (project.root / "params.yaml").write_text(before, encoding="utf-8")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("assay: context: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_names_that_mean_no_strategy(project: Project) -> None:
    good = project.read("context/baseline.json")
    assert "'strategy/frist' is not in this repository" in refused(project, "strategy/frist")
    assert "allowed: floor, strategy/first" in refused(project, "strategy/frist")

    head = project.git("rev-parse", "HEAD")
    said = refused(project, "main")
    assert "'main' is a branch" in said and f"write baseline: {head}" in said
    for moving in (head[:10], "HEAD", "HEAD~1", "strategy/first~0"):
        said = refused(project, moving)
        assert "can move or be ambiguous" in said and project.git("rev-parse", moving) in said
    assert "is not in this repository" in refused(project, "f" * 40)
    assert "is not in this repository" in refused(project, "--all")
    assert "'' is not" in refused(project, "''")

    empty = project.git(*IDENTITY, "commit-tree", "-m", "nothing", project.git("mktree"))
    assert f"baseline {empty} lacks params.yaml" in refused(project, empty)

    assert project.read("context/baseline.json") == good, "a refusal must leave the last good record"
    full = project.git("rev-parse", "strategy/first^{commit}")
    project.edit("params.yaml", "baseline: strategy/first", f"baseline: {full}")
    project.stage("context")
    named = json.loads(project.read("context/baseline.json"))
    assert (named["name"], named["commit"]) == (full, full)


def test_shallow_clone_lacks_the_baseline(project: Project, tmp_path: Path) -> None:
    project.git("clone", "--quiet", "--depth", "1", project.root.as_uri(), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone", project.home)
    said = refused(clone, "strategy/first")
    assert "'strategy/first' is not in this shallow clone" in said
    command = said.strip().rpartition("next: ")[2]
    assert command == "git fetch --unshallow --tags"
    clone.git(*command.split()[1:])
    clone.stage("context")


def test_what_runs_again(project: Project) -> None:
    """Each edit re-runs what reads it, and coming back trains nothing."""
    kept = {"prepare": "skipped", "split": "skipped", "verdict": "ran"}
    first = project.metrics

    def run(*more: str) -> dict[str, str]:
        return stages(project.dvc("exp", "run", *more).stdout)

    # a → b → a in a parameter: the baseline has no part in it.
    assert run("-S", "lr=0.02") == {**kept, "context": "ran", "baseline": "skipped", "train": "ran", "evaluate": "ran"}
    second = project.metrics
    assert run("-S", "lr=0.003") == {
        **kept,
        "context": "ran",
        "baseline": "skipped",
        "train": "restored",
        "evaluate": "restored",
    }
    assert {**project.metrics, "commit": ""} == {**first, "commit": ""} != {**second, "commit": ""}

    # The metric: seconds, both arms scored anew under another key.
    project.edit("src/tasks/digits/metrics.py", "predictions).mean())", "predictions).mean() / 2)")
    assert run() == {**kept, "context": "ran", "baseline": "skipped", "train": "skipped", "evaluate": "ran"}
    assert project.metrics["accuracy"] == first["accuracy"] / 2  # type: ignore[operator]
    assert project.metrics["metric_version"] != first["metric_version"]
    assert {row["metric_version"] for row in project.replicates("baseline")} == {project.metrics["metric_version"]}

    # The tag moves: DVC sees the same word, we see another commit.
    project.git("checkout", "--quiet", "--", ".")
    project.dvc("checkout", "--quiet", "--force")
    old = project.git("rev-parse", "strategy/first^{commit}")
    project.git(*IDENTITY, "tag", "--force", "--annotate", "strategy/first", "--message", "moved", "HEAD")
    did = run()
    assert did["baseline"] == "ran" and did["train"] == "skipped"
    assert json.loads(project.read("arms/baseline.json"))["commit"] == project.git("rev-parse", "HEAD") != old
    project.git(*IDENTITY, "tag", "--force", "--annotate", "strategy/first", "--message", "back", old)
    did = run()
    assert (did["baseline"], did["train"], did["evaluate"]) == ("restored", "skipped", "restored")


def other_package(where: Path, version: str) -> str:
    """A folder for PYTHONPATH with version `version` of the distribution `scaling`, module `scaling`."""
    folder = where / f"scaling-{version}"
    info = folder / f"scaling-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scaling\nVersion: {version}\n", encoding="utf-8")
    (info / "RECORD").write_text("scaling.py,,\n", encoding="utf-8")
    (folder / "scaling.py").write_text(f"GREYS = {16.0 * float(version)}\n", encoding="utf-8")
    return str(folder)


@pytest.mark.extra
def test_another_environment_never_meets_the_old_baseline(project: Project, tmp_path: Path) -> None:
    here, there = other_package(tmp_path, "1.0"), other_package(tmp_path, "2.0")
    project.edit("src/tasks/digits/learning.py", "import torch\n", "import scaling\nimport torch\n")
    project.edit("src/tasks/digits/learning.py", "/ 16.0", "/ scaling.GREYS")
    project.edit("params.yaml", "baseline: strategy/first", "baseline: strategy/scaled")
    project.git("tag", "strategy/scaled", "strategy/first")
    project.dvc("repro", "--quiet", PYTHONPATH=here)
    project.commit("scale")
    project.git(*IDENTITY, "tag", "--force", "strategy/scaled")
    arms = ("baseline", "train", "evaluate")

    did = stages(project.dvc("exp", "run", "-S", "lr=0.02", PYTHONPATH=here).stdout)
    assert [did[name] for name in arms] == ["ran", "ran", "ran"]
    first = project.metrics
    keys = {row["environment"] for arm in ("baseline", "candidate") for row in project.replicates(arm)}
    assert len(keys) == 1 and "scaling 1.0" in keys.pop()

    status = project.assay("status", PYTHONPATH=there).stdout
    assert "strategy/scaled is stale: it was measured under " in status and "scaling 2.0" in status

    did = stages(project.dvc("exp", "run", PYTHONPATH=there).stdout)
    assert [did[name] for name in arms] == ["ran", "ran", "ran"], "another environment measures both arms anew"
    assert project.metrics["baseline"] != first["baseline"]

    did = stages(project.dvc("exp", "run", PYTHONPATH=here).stdout)
    assert [did[name] for name in arms] == ["restored", "restored", "restored"]
    assert {**project.metrics, "commit": ""} == {**first, "commit": ""}

    # Even where stages are run by hand, evaluate does not subtract across environments.
    for stage in ("context", "train", "evaluate", "verdict"):
        done = project.run("assay", "stage", stage, PYTHONPATH=there)
    assert "incomparable: environment: baseline " in done.stdout
    assert "scaling 1.0" in done.stdout and "scaling 2.0" in done.stdout
    assert project.metrics["verdict"] == "incomparable" and "delta" not in project.metrics
    command = done.stdout.partition("; next: ")[2].splitlines()[0]
    for part in command.split(" && "):
        project.run(*part.split(), PYTHONPATH=there)
    assert project.metrics["verdict"] != "incomparable"


@pytest.mark.extra
def test_own_training_data(project: Project) -> None:
    """The baseline trains on what it was accepted with, less what is in today's validation part."""
    accepted = json.loads(project.read("data/split/train/manifest.json"))
    project.edit("params.yaml", "validation: 0.2", "validation: 0.3")
    project.dvc("repro", "--quiet")
    today = json.loads(project.read("data/split/train/manifest.json"))
    arm = json.loads(project.read("arms/baseline.json"))["measurement"]
    assert arm["identity"]["data"] == accepted["content"] != today["content"]
    assert arm["left_out"] == accepted["examples"] - today["examples"] > 0

    # The fetched copy is a cache: damaged, emptied or edited, it is fetched again; nothing else changes.
    good = (project.root / "predictions/baseline/predictions.npy").read_bytes()
    store = project.root / ".dvc/tmp/assay"
    (copied,) = (store / "data").iterdir()
    (copied / "inputs.npy").write_bytes((copied / "inputs.npy").read_bytes()[:-8] + b"\0" * 8)
    (tree,) = (store / "trees").iterdir()
    with (tree / "src/tasks/digits/learning.py").open("a", encoding="utf-8") as stream:
        stream.write("\nraise SystemExit(3)\n")
    project.stage("baseline")
    assert (project.root / "predictions/baseline/predictions.npy").read_bytes() == good
    shutil.rmtree(store)
    project.stage("baseline")
    assert (project.root / "predictions/baseline/predictions.npy").read_bytes() == good


@pytest.mark.extra
def test_pruning_the_cache_again_and_again_disturbs_no_run(project: Project) -> None:
    """The files and the data of the accepted strategy are in use until their stage ends; all else is made again."""
    project.edit("params.yaml", "validation: 0.2", "validation: 0.3")
    project.dvc("repro", "--quiet")
    expected, cache = digests(project), dvc_yaml.store(project.root)
    before = cache_pruning.prune(cache.root, 0)
    assert before.freed > 0 and before.stayed == 0
    command = [sys.executable, "-m", "dvc", "repro", "--force"]
    kinds: set[str] = set()
    with subprocess.Popen(command, cwd=project.root, env=environment(project.home), stdout=subprocess.PIPE) as run:
        while run.poll() is None:
            cache_pruning.prune(cache.root, 0)
            kinds |= {one.kind for one in cache_pruning.found(cache.root)}
            time.sleep(0.005)
    assert run.returncode == 0 and digests(project) == expected
    assert kinds >= {"trees", "data"}, "they were there, and held"
    assert cache_pruning.prune(cache.root, 0).stayed == 0 and cache_pruning.found(cache.root) == []
