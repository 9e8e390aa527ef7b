"""`assay rebaseline` and `assay rescore`: the cheapest honest way, and both numbers in the log."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project


def way(project: Project) -> dict[str, object]:
    found: dict[str, object] = json.loads(project.assay("rebaseline", "--json").stdout)
    return found


def replicates(project: Project) -> list[int]:
    """Numbers of the baseline's replicates, as its record says."""
    record = json.loads(project.read("arms/baseline.json"))
    return [one["number"] for one in record["measurement"]["replicates"]]


@pytest.mark.extra
def test_a_new_ruler_is_a_re_score_of_everything_at_hand(done: Project) -> None:
    done.dvc("exp", "run", "--quiet", "-S", "lr=0.03", "-n", "next")
    before = replicates(done)
    done.git("stash", "--quiet")
    done.edit("src/tasks/digits/metrics.py", "REVISION = 1", "REVISION = 2")
    done.commit("raise the ruler")
    done.git("stash", "pop", "--quiet")
    done.dvc("checkout", "--quiet", "--force")
    found = way(done)
    assert found["way"] == "re-score" and str(found["metric_version"]).startswith("accuracy-2.")
    assert replicates(done) == before
    scored = json.loads(done.assay("rescore", "--json").stdout)
    assert set(scored["scored"]) == {"strategy/fast", "fast-lr", "next"}
    assert set(scored["left"]) == {"strategy/first"}, "a tag without evidence"
    rows = json.loads(done.assay("log", "--all", "--json").stdout)["rows"]
    both = {row["name"]: (row["mean"], row["rescored"]) for row in rows if row["rescored"]}
    assert set(both) == {"fast", "fast-lr", "next"}
    _, rescored = both["fast"]
    rows = csv.DictReader(done.git("show", "strategy/fast:results/confirmation.csv").splitlines())
    at_hand = [float(row["accuracy"]) for row in rows if row["arm"] == "candidate"][: len(before)]
    same = pytest.approx(sum(at_hand) / len(before))
    assert rescored == {found["metric_version"]: same}, "the metric's code is the same, so are the numbers"
    assert json.loads(done.assay("rescore", "--json").stdout)["scored"] == {}


@pytest.mark.extra
def test_other_examples_are_an_inference_from_weights_that_dvc_kept(done: Project) -> None:
    """Another accepted strategy than the candidate's, so that nothing else may run; our own cache is lost."""
    first = way(done)
    assert (first["way"], first["trained"]) == ("re-train", 0), "the replicates that confirmed it are in the cache"
    before = replicates(done)
    assert before == [20000, 20001, 20002] and first["evaluated"]
    weights = done.git("hash-object", *(f"models/baseline/{number}.safetensors" for number in before))
    candidate = done.read("arms/candidate.json")
    done.edit("params.yaml", "test: 0.1", "test: 0.05")
    done.edit("params.yaml", "lr: 0.02", "lr: 0.5")
    shutil.rmtree(done.root / ".dvc/tmp/assay/replicates")
    aside = done.root.parent / "aside"
    (done.root / "models/baseline").rename(aside)
    moved = done.assay("rebaseline", ok=False)
    assert (
        moved.returncode == 2 and "20000.safetensors is not available; next: dvc pull models/baseline" in moved.stderr
    )
    aside.rename(done.root / "models/baseline")
    results = done.read("results/metrics.json")
    found = way(done)
    assert (found["way"], found["trained"], found["evaluated"]) == ("re-infer", 0, False)
    assert replicates(done) == before and done.read("results/metrics.json") == results
    assert done.git("hash-object", *(f"models/baseline/{number}.safetensors" for number in before)) == weights
    assert done.read("arms/candidate.json") == candidate, "lr=0.5 is the candidate's affair"

    done.edit("params.yaml", "validation: 0.2", "validation: 0.5")
    before_it = kept(done)
    found = way(done)
    assert len(kept(done) - before_it) == 3, "nobody asked for the candidate: it did not train beside it"
    assert found["way"] == "re-train" and found["trained"] == 3, "some of them it was trained on"
    assert "replicate 20000: validation examples were among those it was trained on" in str(found["reasons"])
    done.edit("params.yaml", "profile: full", "profile: fast")
    found = way(done)
    assert found["reasons"] == ["profile: full → fast"] and replicates(done) == before, (
        "another measurement, no new draw"
    )
    assert not done.git("tag", "--list", "remeasured/*")


def kept(project: Project) -> set[str]:
    """Replicates in the cache."""
    return {path.parent.name for path in (project.root / ".dvc/tmp/assay/replicates").glob("*/weights")}


def backdate(project: Project, tag: str) -> None:
    """The tag as if it had been written in 2020."""
    old = project.git("cat-file", "tag", tag)
    new = re.sub(r"(?m)^(tagger .*>) \d+", r"\1 1577836800", old, count=1)
    made = subprocess.run(
        ["git", "mktag"], cwd=project.root, input=f"{new}\n", text=True, capture_output=True, check=True
    )
    project.git("update-ref", f"refs/tags/{tag}", made.stdout.strip())


@pytest.mark.extra
def test_an_old_baseline_is_a_new_draw_that_survives_a_kill(done: Project) -> None:
    way(done)
    before = replicates(done)
    backdate(done, "strategy/fast")
    done.edit("params.yaml", "baseline_max_age:", "baseline_max_age: 30  #")
    assert any("baseline_max_age is 30" in line and "assay rebaseline" in line for line in status(done))
    code = """
import os, signal
from pathlib import Path
from assay.commands import rebaseline
write = rebaseline.write
rebaseline.write = lambda *given: (write(*given), os.kill(os.getpid(), signal.SIGKILL))
rebaseline.rebaseline(Path.cwd(), print)
"""
    killed = done.run(sys.executable, "-c", code, ok=False)
    assert killed.returncode == -signal.SIGKILL
    (tag,) = done.git("tag", "--list", "remeasured/*").split()
    found = way(done)
    assert found["way"] == "re-train" and found["trained"] == 3
    assert "the last run used other seeds: confirmation → confirmation from 40000 on" in str(found["reasons"])
    assert done.git("tag", "--list", "remeasured/*").split() == [tag]
    strategy = fold(read(done.root).tags).strategies["fast"]
    assert replicates(done) == [strategy.seeds.candidate + k for k in range(3)] == [40000, 40001, 40002]
    assert set(before).isdisjoint(replicates(done))
    assert not any("baseline_max_age" in line for line in status(done))

    # A baseline that was measured in another environment is drawn anew as well.
    record = json.loads(done.read("arms/baseline.json"))
    record["environment"]["packages"]["torch"] = "1.0"
    (done.root / "arms/baseline.json").write_text(json.dumps(record), encoding="utf-8")
    assert any("is stale: it was measured under" in line and "torch 1.0" in line for line in status(done))
    found = way(done)
    assert found["way"] == "re-train" and found["trained"] == 3 and "torch 1.0" in str(found["reasons"])
    assert len(done.git("tag", "--list", "remeasured/*").split()) == 2
    assert set(replicates(done)).isdisjoint([*before, 40000, 40001, 40002])


def status(project: Project) -> list[str]:
    return project.assay("status", ok=False).stdout.splitlines()


@pytest.mark.parametrize(
    ("edit", "code", "said"),
    [
        (lambda done: done.edit("params.yaml", "strategy/fast", "strategy/slow"), 2, "next: git fetch --tags"),
        (lambda done: done.assay("revoke", "fast", "--why", "test") and restore(done), 3, "strategy/fast is revoked"),
        (lambda done: done.edit("params.yaml", "lr: 0.02", "lr: fast"), 2, "lr is 'fast'"),
    ],
)
def test_refusals(done: Project, edit: Callable[[Project], object], code: int, said: str) -> None:
    edit(done)
    before = done.git("for-each-ref")
    found = done.assay("rebaseline", "--json", ok=False)
    assert found.returncode == code and said in found.stderr and found.stdout == ""
    assert len(found.stderr.strip().splitlines()) == 1 and done.git("for-each-ref") == before


def restore(project: Project) -> None:
    """Somebody points params.yaml back at what was revoked."""
    project.edit("params.yaml", "baseline: strategy/first", "baseline: strategy/fast")


def test_the_floor_needs_no_baseline(done: Project) -> None:
    done.edit("params.yaml", "baseline: strategy/fast", "baseline: floor")
    found = done.assay("rebaseline", ok=False)
    assert found.returncode == 2 and "the baseline is the floor, which every run measures again" in found.stderr
