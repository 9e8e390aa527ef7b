"""`vary: [split]` in runs: floors and both arms on the same splits, judged and confirmed by the corrected t-test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.acceptance import confirmation_floors
from assay.core import variation
from assay.core.params_yaml import Judge, Split
from assay.data.storage import Examples
from assay.metrics.floor_scores import PredictionForm
from assay.metrics.scored_arm import Ruler
from assay.metrics.split_scores import JudgedExamples
from assay.metrics.task_metrics import Metric
from assay.replicates.split_examples import SplitParts
from assay.runtime import example_ids
from assay.stats.compare_arms import MeasuredArm
from support import rings
from support.project import Project

EVERYTHING = "vary: [init, order, augment, dropout, split]\nseed: 1 "


def on_splits(fresh: Project) -> None:
    """The task of docs/tasks.md, on splits drawn anew."""
    rings.write(fresh, epochs=6)
    fresh.edit("params.yaml", "lr: 0.003", "lr: 0.05")
    fresh.edit("params.yaml", "seed: 1 ", EVERYTHING)
    fresh.commit("rings")


def ids(project: Project, where: str) -> list[list[str]]:
    rows = example_ids.read(project.root / "predictions" / where / "ids.npy").tolist()
    return [[name for name in row if name] for row in rows]


def groups(project: Project) -> dict[str, str]:
    """id → group, of the training and the validation part."""
    found = {}
    for part in ("train", "validation"):
        folder = project.root / "data/split" / part
        names = json.loads((folder / "manifest.json").read_text())["examples"]
        each = np.load(folder / "groups.npy").astype(str)
        raw = np.load(folder / "ids.npy")
        assert len(each) == len(raw) == names
        found |= dict(zip(example_ids.unpacked(raw).astype(str).tolist(), each.tolist(), strict=True))
    return found


@pytest.mark.extra
def test_from_a_floor_to_an_accepted_strategy_and_on(fresh: Project) -> None:
    on_splits(fresh)
    fresh.dvc("exp", "run", "--name", "one")
    assert fresh.metrics["verdict"] == "progress" and fresh.metrics["split_overlap"] == pytest.approx(2 / 7, abs=0.08)
    said = fresh.read("results/verdict.txt")
    assert "corrected resampled t p=" in said and "on 3 splits, validation parts" in said
    judged, owner = ids(fresh, "candidate"), groups(fresh)
    assert judged == ids(fresh, "floors") and len({tuple(row) for row in judged}) == 3
    for row in judged:
        inside = {owner[name] for name in row}
        assert not inside & {owner[name] for name in owner.keys() - set(row)}, "a group lies in one part"
    floors = fresh.replicates("floor")
    assert len([row for row in floors if row["strategy"] == "prior"]) == 3, "fitted on each split"
    record = json.loads(fresh.read("arms/candidate.json"))["measurement"]["splits"]
    assert record["evaluated"] == [len(row) for row in judged]
    assert "corrected resampled t" in fresh.assay("compare", "one").stdout

    accepted = fresh.assay("accept", "one", "first")
    assert "fresh splits" in accepted.stderr and "corrected resampled t p=" in accepted.stderr
    tag = fresh.git("cat-file", "tag", "strategy/first")
    assert "Assay-Confirmation-Overlap: 0." in tag and "Assay-Selection-Overlap: 0." in tag
    table = fresh.read("results/confirmation.csv")
    assert table.startswith("arm,purpose,replicate,balanced,split_overlap\n") and "\nfloor,confirmation" in table

    fresh.dvc("exp", "run", "--name", "two", "-S", "model.hidden=2")
    assert fresh.metrics["verdict"] in ("regression", "inconclusive")
    assert ids(fresh, "candidate") == ids(fresh, "baseline") != judged, "shared, and new for a new baseline"
    seeds = [[row["seed"] for row in fresh.replicates(arm)] for arm in ("baseline", "candidate")]
    assert seeds[0] == seeds[1]
    assert "clean" in fresh.assay("status").stdout
    assert "corrected resampled t" in fresh.assay("compare", "two").stdout
    fresh.assay("report", "two", "--output", str(fresh.root.parent / "page.html"))
    assert "corrected resampled t" in (fresh.root.parent / "page.html").read_text(encoding="utf-8")
    refused(fresh)


def refused(project: Project) -> None:
    """What takes one validation part for all says so, and writes nothing."""
    before = project.git("status", "--short"), project.git("for-each-ref")
    for words in (
        ("ablate", "-S", "lr=0.01", "-S", "model.hidden=8"),
        ("sensitivity", "lr"),
        ("rates",),
        ("rescore",),
        ("rebaseline",),
        ("compare", "two", "--rescore"),
        ("compare", "two", "--target", "0.9"),
        ("compare", "two", "--test", "permutation"),
        ("tune", "lr=0.01,0.02"),
        ("guard", "--same-as", "two"),
        ("export", "first", "--to", "../model"),
    ):
        done = project.assay(*words, ok=False)
        assert done.returncode == 2 and "split" in done.stderr, f"{words}: {done.stderr}"
        assert "next:" in done.stderr and "Traceback" not in done.stderr
    assert (project.git("status", "--short"), project.git("for-each-ref")) == before


def test_context_knows_splits_of_the_floor(fresh: Project) -> None:
    fresh.edit("params.yaml", "seed: 1 ", EVERYTHING)
    fresh.stage("context")
    draw, floor = (json.loads(fresh.read(f"context/{name}.json")) for name in ("draw", "baseline"))
    assert draw["purpose"] == floor["purpose"] == "paired" and draw["vary"] == floor["vary"] and "split" in draw["vary"]
    for edit, wanted in (("test: welch", "test: permutation"), ("execution: auto", "execution: fused")):
        fresh.edit("params.yaml", edit, wanted)
        done = fresh.stage("context", ok=False)
        assert done.returncode == 2 and wanted.split(": ")[1] in done.stderr and "split" in done.stderr
        fresh.edit("params.yaml", wanted, edit)


def test_a_second_person_is_a_floor_of_a_confirmation_too(tmp_path: Path) -> None:
    """The labels that were a floor on the experiment's splits are one on fresh splits."""
    rng, targets = np.random.default_rng(0), np.arange(90) % 3
    names, ids = ("a", "b", "c"), np.array([f"{row:032x}" for row in range(90)])
    second = {"second_labels": np.where(np.arange(90) < 9, 0, targets)}
    both = Examples(ids, rng.normal(size=(90, 2)), targets, classes=names, notes=second)
    today, validation = both.take(np.arange(60)), both.take(np.arange(60, 90))
    parts = SplitParts(
        today,
        validation,
        today,
        ("train", "validation", "train"),
        Split(validation=0.3, test=0.1),
        places=None,
        seed=1,
        purpose=variation.purpose("paired-confirmation", variation.NAMES),
    )
    right = Metric("right", lambda targets, given: float((given.argmax(axis=1) == targets).mean()), "maximize")
    ruler, judged = Ruler({"right": right}, "right", {}, both.ids, both.targets), JudgedExamples.read(both)
    fresh = MeasuredArm([(7, 0.9), (8, 0.8)], overlap=0.5)

    def hardest(judge: Judge, *, scored: bool = False) -> list[float]:
        wanted = PredictionForm((30, 3), 3, scored)
        return confirmation_floors.hardest(tmp_path, parts, fresh, ruler, judged, wanted, judge).values

    person = [float((second["second_labels"] == targets)[parts.drawn(number).validation].mean()) for number in (7, 8)]
    assert hardest(Judge()) == person and min(person) > 0.6
    assert hardest(Judge(floor=0.99)) == [0.99, 0.99] == hardest(Judge(human=0.99))
    assert hardest(Judge(floor=0.2), scored=True) == [0.2, 0.2], "what score() keeps, no floor has"
