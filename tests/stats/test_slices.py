"""The metric by slice: a loss in one stands beside the verdict, and where nothing changed nearly never."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.data.validate_examples import canonical
from assay.metrics import slice_losses, slice_table, task_metrics
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.slice_scores import SliceFinding, SliceJudge
from assay.ready import metrics as ready
from assay.report import comparison_text
from assay.stats.arm_comparison import compare
from assay.stats.sequential_testing import Look
from support.scored_arms import scored

METRICS = {"mae": task_metrics.read(ready, "ready")["mae"]}


def arm(name: str, predictions: np.ndarray) -> Scored:
    """An arm of R replicates that predict (R, N) values; every target is 0."""
    return scored(name, predictions, [{"mae": float(np.abs(row).mean())} for row in predictions])


def judge(baseline: np.ndarray | None, candidate: np.ndarray, test: str = "welch", **more: object) -> SliceJudge:
    count = candidate.shape[1]
    ruler = Ruler(METRICS, "mae", {}, np.array([f"{row:032x}" for row in range(count)]), np.zeros(count))
    before = None if baseline is None else arm("baseline", baseline)
    found = SliceJudge(ruler, arm("candidate", candidate), before, None, test, Look(0.05, "", 1, 0), False)
    return SliceJudge(**{**found.__dict__, **more})


def runs(chance: np.random.Generator, replicates: int, shift: np.ndarray) -> np.ndarray:
    """(R, N) errors: a level that each replicate draws for all examples, one that it draws for each, and a shift."""
    levels = 1 + chance.normal(0, 0.05, (replicates, 1)) + chance.normal(0, 0.2, (replicates, len(shift)))
    return np.abs(levels + shift)


SIZE = np.array(["small"] * 30 + ["large"] * 60)
LIGHT = np.array(["day", "night"] * 45)
NAMES = np.stack([SIZE, LIGHT], axis=1)


def test_a_loss_in_a_slice_stands_beside_progress() -> None:
    chance = np.random.default_rng(1)
    shift = np.where(SIZE == "small", 0.4, -0.6)
    found = judge(runs(chance, 10, 0 * shift), runs(chance, 10, shift)).findings(NAMES)
    by_name = {one.name: one for one in found}
    assert list(by_name) == ["day", "large", "night", "small"]
    assert by_name["small"].lost and by_name["small"].examples == 30 and by_name["small"].verdict == "regression"
    assert not by_name["large"].lost and by_name["large"].verdict == "progress"
    said = slice_losses.said(found)
    assert said.startswith("small +0.") and "," not in said  # an error that grew
    whole = compare([1.0, 1.01, 1.02], [0.8, 0.81, 0.82], "minimize")
    first, second, *_ = comparison_text.verdict_lines(whole, "mae", "floor", lost=said).splitlines()
    assert first.startswith(f"progress; {said}  mae 0.8") and second.startswith(" " * 11 + "-0.2")
    assert slice_losses.remarks(found)[0] == "4 slices, each with Holm's correction: 1 with a significant loss"
    rows = list(csv.DictReader(slice_table.text(judge(None, np.ones((2, 90))).ruler, found, [], {}).splitlines()))
    assert [row["name"] for row in rows] == list(by_name) and float(rows[3]["delta"]) == pytest.approx(0.4, abs=0.1)
    assert all(float(row["p_holm"]) >= float(row["p"]) for row in rows)


def test_holm_covers_all_slices_and_the_metric_may_be_missing_in_one() -> None:
    chance = np.random.default_rng(2)
    before, after = runs(chance, 5, np.zeros(90)), runs(chance, 5, np.where(SIZE == "small", 0.12, 0.0))
    alone = judge(before, after).findings(SIZE[:, None])
    many = np.array([[name, f"part {row % 20}"] for row, name in enumerate(SIZE)])
    crowd = {one.name: one for one in judge(before, after).findings(many)}
    assert crowd["small"].p_holm > next(one.p_holm for one in alone if one.name == "small")
    targets = np.zeros(90, dtype=np.int64)
    targets[::2] = 1
    auroc = task_metrics.read(ready, "ready")["auroc"]
    given = judge(None, np.tile(np.stack([1 - LIGHT.size * 0 - 0.3 * np.ones(90), 0.3 * np.ones(90)], 1), (3, 1, 1)))
    ruler = Ruler({"auroc": auroc}, "auroc", {}, given.ruler.ids, targets)
    found = SliceJudge(**{**given.__dict__, "ruler": ruler, "floor": given.candidate.predictions[0]}).findings(NAMES)
    missing = [one for one in found if one.comparison is None]
    assert [one.name for one in missing] == ["day", "night"] and "not defined" in missing[0].reason
    assert slice_losses.remarks(found)[1].startswith("slice day: metric auroc for")


def test_classes_have_rows_of_their_own() -> None:
    targets, first = np.array([0, 0, 1, 1]), np.array([[0, 1, 1, 1]], dtype=np.float32)
    ruler = Ruler(METRICS, "mae", {}, np.arange(4).astype(str), targets)
    chances = np.eye(3, dtype=np.float32)[first[0].astype(int)]
    text = slice_table.text(ruler, [], ["a", "b", "c"], {"candidate": [chances], "baseline": [chances]})
    rows = {(row["name"], row["metric"]): row for row in csv.DictReader(text.splitlines())}
    assert rows["a", "recall"]["candidate"] == "0.5" and rows["b", "precision"]["candidate"] == "0.666667"
    assert rows["a", "recall"]["delta"] == "0" and rows["c", "recall"]["candidate"] == ""
    assert rows["a", "f1"]["examples"] == "2" and rows["a", "f1"]["by"] == "class"


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        (["a", "b"], "3 inputs but 2 slices"),
        ("abc", "slices is str"),
        (["a", "b\n", "c"], "has the name"),
        ({"size": ["s", "l"]}, "slices['size'] does not name 3 examples"),
        (["a", "b\x1b", "c"], "slices has the name 'b"),
        (["a", "b", "c" * 61], "slices has the name 'ccc"),
        ([[f"s{row}{k}" for k in range(20)] for row in range(3)], "60 slices"),
    ],
)
def test_slices_that_are_none_are_refused(slices: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        canonical({"inputs": np.eye(3), "targets": np.zeros(3), "slices": slices}, "data.py")
    assert said in str(caught.value)


def test_forms_of_slices() -> None:
    def names(slices: object) -> list:
        found = canonical({"inputs": np.eye(2), "targets": np.zeros(2), "slices": slices}, "data.py")
        return found.notes["slices"].tolist()

    assert names(["big", None]) == [["big"], [""]]
    assert names([["b", "a"], "c"]) == [["a", "b"], ["c", ""]]
    assert names({"size": ["s", "l"], "light": [1, 2]}) == [["size=s", "light=1"], ["size=l", "light=2"]]


def false_alarms(trials: int, replicates: int, test: str, seed: int) -> float:
    """Share of comparisons of two like arms in which any slice is called a loss."""
    chance, zero = np.random.default_rng(seed), np.zeros(90)
    names = np.stack([SIZE, LIGHT, np.array([f"part {row % 5}" for row in range(90)])], axis=1)
    found = [judge(runs(chance, replicates, zero), runs(chance, replicates, zero), test) for _ in range(trials)]
    return float(np.mean([any(one.lost for one in each.findings(names)) for each in found]))


def test_false_alarms_in_short() -> None:
    """At most alpha / 2, as a loss is one side of a test of two; 30 trials allow two."""
    assert false_alarms(30, 5, "welch", 4) <= 2 / 30


@pytest.mark.extra
@pytest.mark.parametrize(("test", "replicates"), [("welch", 3), ("welch", 10), ("paired", 5), ("student", 5)])
def test_false_alarms_are_at_most_alpha(test: str, replicates: int) -> None:
    """Nine slices that overlap, 400 trials: a true rate of alpha / 2 gives more than 0.05 in 0.2 % of such runs."""
    assert false_alarms(400, replicates, test, 7) <= 0.05


def test_a_finding_without_numbers_is_inconclusive() -> None:
    assert SliceFinding("a", 3, None).verdict == "inconclusive" and not SliceFinding("a", 3, None).lost
