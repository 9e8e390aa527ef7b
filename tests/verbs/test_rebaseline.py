"""`assay rebaseline` and `assay rescore`: the cheapest honest way, and both numbers in the log."""

from __future__ import annotations

import json

from assay.history.reading import read
from assay.history.state import fold
from support.project import Project


def way(project: Project) -> dict[str, object]:
    found: dict[str, object] = json.loads(project.assay("rebaseline", "--json").stdout)
    return found


def replicates(project: Project) -> list[str]:
    return [row["replicate"] for row in project.replicates("baseline")]


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
    assert set(scored["scored"]) == {"strategy/fast", "fast-lr", "next"} and scored["left"] == {}
    rows = json.loads(done.assay("log", "--all", "--json").stdout)["rows"]
    both = {row["name"]: (row["mean"], row["rescored"]) for row in rows if row["rescored"]}
    assert set(both) == {"fast", "fast-lr", "next"}
    mean, rescored = both["fast"]
    assert rescored == {found["metric_version"]: mean}, "the metric's code is the same, so is the number"
    assert json.loads(done.assay("rescore", "--json").stdout)["scored"] == []


def test_other_examples_are_a_re_inference_and_an_older_profile_a_new_draw(done: Project) -> None:
    done.dvc("repro", "--quiet")
    before = replicates(done)
    assert before[0] == "20000", "the replicates that confirmed it"
    done.edit("params.yaml", "validation: 0.2", "validation: 0.25")
    done.dvc("repro", "--quiet", "split")
    said = done.assay("status").stdout
    assert "strategy/fast is stale: the validation examples are others; next: dvc exp run" in said
    assert way(done)["way"] == "re-infer" and replicates(done) == before
    done.edit("params.yaml", "profile: full", "profile: fast")
    found = json.loads(done.assay("rebaseline", "--json").stdout)
    assert found["way"] == "re-train" and found["reasons"] == ["profile: full → fast"]
    assert set(replicates(done)).isdisjoint(before)
    strategy = fold(read(done.root).tags).strategies["fast"]
    assert strategy.drawn is not None and [str(strategy.seeds.candidate + k) for k in range(3)] == replicates(done)


def test_the_floor_needs_no_baseline(done: Project) -> None:
    done.edit("params.yaml", "baseline: strategy/fast", "baseline: floor")
    found = done.assay("rebaseline", ok=False)
    assert found.returncode == 2 and "the baseline is the floor, which every run measures anew" in found.stderr
