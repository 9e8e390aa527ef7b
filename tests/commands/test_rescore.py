"""`assay rescore`: the right replicates under today's ruler, evidence that holds, nothing dropped in silence."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from statistics import fmean

import pytest

from assay.commands import rescore as command
from assay.history.experiments import read
from assay.history.strategy_status import fold
from support.project import Project

METRICS = "src/tasks/digits/metrics.py"


def rescore(project: Project, *options: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(project.assay("rescore", "--json", *options).stdout)
    return found


def halve(project: Project) -> None:
    """Another accuracy: half of what it was, so that every number under it is known."""
    text = project.read(METRICS).replace("def accuracy(", "def whole(", 1)
    half = (
        "\n\ndef accuracy(targets: Array, predictions: Array) -> float:\n    return whole(targets, predictions) / 2\n"
    )
    (project.root / METRICS).write_text(text.replace("\n\nMETRICS", f"{half}\n\nMETRICS", 1), encoding="utf-8")


def objects(project: Project, path: str) -> list[Path]:
    """Files of DVC's cache that hold the folder `path` of the committed dvc.lock."""
    lock = project.git("show", "HEAD:dvc.lock").split(f"- path: {path}\n")[1]
    name = lock.split("md5: ")[1].split("\n")[0]
    store = project.root / ".dvc/cache/files/md5"
    listing = store / name[:2] / name[2:]
    inside = [entry["md5"] for entry in json.loads(listing.read_text(encoding="utf-8"))]
    return [listing, *(store / md5[:2] / md5[2:] for md5 in inside)]


def test_a_strategy_speaks_by_the_replicates_that_confirmed_it(measured: Project, tmp_path: Path) -> None:
    """What is edited is shown and not kept; what is committed becomes evidence; what is lost is named, and fetched."""
    confirmed = [
        float(row["accuracy"])
        for row in csv.DictReader(io.StringIO(measured.git("show", "strategy/fast:results/confirmation.csv")))
        if row["arm"] == "candidate"
    ][:3]  # as many as a run asks for; the confirmation took more
    halve(measured)
    before = measured.git("for-each-ref")
    refused = measured.assay("rescore", ok=False)
    assert (
        refused.returncode == 4 and f"is in no commit yet, evidence could not refer to it: {METRICS}" in refused.stderr
    )
    shown = rescore(measured, "--dry-run")
    assert not shown["kept"] and measured.git("for-each-ref") == before
    assert shown["scored"]["strategy/fast"]["mean"] == pytest.approx(fmean(confirmed) / 2)
    measured.commit("halve accuracy")

    store = tmp_path / "store"
    measured.dvc("remote", "add", "--local", "-d", "store", str(store))
    measured.dvc("push", "--quiet")
    objects(measured, "predictions/baseline")[2].unlink()  # ids.npy is the same file for both arms
    found = rescore(measured)
    assert set(found["scored"]) == {"fast-lr"}
    assert "is not in DVC's cache here; next: dvc fetch --all-tags" in str(found["left"]["strategy/fast"])
    measured.dvc("fetch", "--quiet", "predictions/baseline")
    text = measured.assay("rescore").stdout
    assert f"strategy/fast  {fmean(confirmed) / 2:.4f}" in text and "git push origin" in text
    assert rescore(measured)["scored"] == {}, "everything has a number now"
    event = fold(read(measured.root).tags).strategies["fast"].rescored[str(found["metric_version"])]
    assert event.ruler == measured.git("rev-parse", "HEAD") and event.score.n == 3


def test_numbers_of_other_packages_are_made_again(measured: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version stays, as the metric's code does: what it imports is noted beside it."""
    assert rescore(measured)["scored"] == {}
    for packages, tags in (("numpy 99", 1), ("numpy 99", 1), ("numpy 100", 2)):
        monkeypatch.setattr(command, "_packages", lambda *_of, found=packages: found)
        before = len(rescored_tags(measured))
        again = command.rescore(measured.root)
        assert set(again.scored) == ({"strategy/fast", "fast-lr"} if tags > before else set())
        assert len(rescored_tags(measured)) == tags and set(again.left) == {"strategy/first"}
    first, second = rescored_tags(measured)
    assert second.removeprefix(f"{first}-").isdigit()
    state = fold(read(measured.root).tags)
    assert not [tag for tag in state.unverifiable if tag.name.startswith("rescored/")]
    assert state.strategies["fast"].rescored[again.metric_version].packages == "numpy 100"


def rescored_tags(project: Project) -> list[str]:
    return project.git("tag", "--list", "rescored/*").splitlines()


def test_what_cannot_be_scored_is_named(measured: Project) -> None:
    measured.assay("reject", "fast-lr", "--why", "test of what a tag alone keeps")
    measured.dvc("exp", "remove", "--quiet", "--all-commits")
    halve(measured)
    measured.commit("halve accuracy")
    damaged = objects(measured, "predictions/baseline")[2]
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    found = rescore(measured, "--dry-run")
    assert set(found["scored"]) == {"rejected/fast-lr"}
    assert "is not what its hash says; next: rm -f" in str(found["left"]["strategy/fast"])
    rescore(measured)
    rows = json.loads(measured.assay("log", "--all", "--json").stdout)["rows"]
    (row,) = [row for row in rows if row["kind"] == "rejected"]
    assert row["rescored"][found["metric_version"]] == pytest.approx(row["mean"] / 2)

    measured.edit(METRICS, "return whole(", "return predictions[0, 99] + whole(")
    shown = rescore(measured, "--dry-run")
    assert shown["scored"] == {} and f"the task failed at {METRICS}" in str(shown["left"]["rejected/fast-lr"])


def test_examples_that_are_a_part_of_what_was_predicted_will_do_and_others_not(measured: Project) -> None:
    """Validation shrinks to examples that all were predicted; then it grows beyond them."""
    measured.edit("params.yaml", "validation: 0.2", "validation: 0.15")
    stale = measured.assay("rescore", "--dry-run", ok=False)
    assert stale.returncode == 3 and "split last ran with another split" in stale.stderr
    assert "next: dvc repro split" in stale.stderr
    measured.dvc("repro", "--quiet", "split")
    fewer = rescore(measured, "--dry-run")
    assert {"strategy/fast", "fast-lr"} <= set(fewer["scored"])
    measured.edit("params.yaml", "validation: 0.15", "validation: 0.25")
    measured.dvc("repro", "--quiet", "split")
    more = rescore(measured, "--dry-run")
    assert more["scored"] == {}
    assert "validation examples were not predicted; next: measure it again" in str(more["left"]["fast-lr"])


def test_a_strategy_that_nothing_was_measured_against_is_left(done: Project) -> None:
    """Its tag keeps the replicates that selected it, and those overstate it."""
    halve(done)
    done.commit("halve accuracy")
    shutil.rmtree(done.root / ".dvc/tmp/assay")
    found = rescore(done)
    assert "strategy/fast" not in found["scored"]
    assert str(found["left"]["strategy/fast"]).endswith("next: dvc exp run -S baseline=strategy/fast")
