"""Equal tuning: who goes on, how many replicates, the verdict; a short form of benchmarks/equal_tuning.py."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from assay.report import tuning_text
from assay.stats import equal_tuning
from assay.stats.compare_arms import MeasuredArm
from assay.stats.equal_tuning import chosen, contenders, judged, replicates, standing

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import equal_tuning as simulated

SPREAD = np.array([-0.012, -0.006, 0.0, 0.006, 0.012])


def arm(mean: float, *diverged: int) -> MeasuredArm:
    values = (mean + SPREAD).tolist()
    return MeasuredArm([(n, None if n in diverged else value) for n, value in enumerate(values)])


def verdict(candidate: float, *rivals: float, **more) -> equal_tuning.TuningVerdict:
    named = {f"lr={number}": arm(mean) for number, mean in enumerate(rivals)}
    options = {"test": "welch", "level": 0.04, "min_effect": 0.0, "worst": None, "distinct": True} | more
    return judged(arm(candidate), named, "maximize", **options)


def test_progress_is_to_beat_the_baseline_at_every_value() -> None:
    assert verdict(0.95, 0.8, 0.9).verdict == "progress"
    one = verdict(0.95, 0.8, 0.945)
    assert (one.verdict, one.unbeaten, one.best("maximize")) == ("inconclusive", ["lr=1"], "lr=1")
    assert verdict(0.95, 0.8, 0.99).verdict == "regression"
    assert verdict(0.95, 0.8, 0.962, 0.8).verdict == "inconclusive", "a regression must show by Holm"
    said = tuning_text.text(one, "acc", ("mine", "strategy/a"), ("lr=0", "lr=1"), {"lr=0": (0.9, 3)}, {}, "tune-1")
    assert "candidate at lr=0, baseline best at lr=1; it is not shown to beat the baseline at lr=1" in said
    assert said.splitlines()[-1].startswith("next: another idea; assay reject tune-1")
    edge = tuning_text.text(one, "acc", ("mine", "b"), ("lr=0", "lr=1"), {}, {"mine": "lr=0"}, "tune-1")
    assert "mine: its best value, lr=0, lies on the edge of the grid" in edge
    assert "with values beyond the edge" in edge.splitlines()[-1]
    won = tuning_text.text(verdict(0.95, 0.8, 0.9), "acc", ("mine", "b"), ("lr=0", "lr=1"), {}, {}, "tune-1")
    assert "it beats the baseline at each of 2 values" in won and "next: assay accept tune-1 NAME" in won
    edges = {"b": "lr=1"}
    both = tuning_text.text(verdict(0.95, 0.8, 0.9), "acc", ("mine", "b"), ("lr=0", "lr=1"), {}, edges, "tune-1")
    assert "next: assay accept tune-1 NAME" in both and "or the same command with values beyond the edge" in both
    worse = tuning_text.text(verdict(0.95, 0.8, 0.99), "acc", ("mine", "b"), ("lr=0", "lr=1"), {}, {}, "tune-1")
    assert "regression: candidate at lr=0, baseline best at lr=1; the baseline beats it at lr=1" in worse


def test_contenders_are_those_that_few_seeds_cannot_tell() -> None:
    search = {"a": arm(0.9), "b": arm(0.903), "c": arm(0.7), "d": arm(0.95, 2)}
    assert contenders(search, "maximize", None, 5) == ["a", "b"], "a value that diverged is not chosen"
    assert contenders(search, "maximize", 0.94, 5) == ["d"], "unless its worst value is named"
    assert contenders(search, "minimize", None, 5) == ["c"]
    assert chosen(search, "maximize", None) == "b" and standing(search["d"], None) is None
    assert contenders({"d": arm(0.95, 2)}, "maximize", None, 5) == []


def test_more_values_take_more_replicates() -> None:
    assert [replicates(k, 0.04, 2) for k in (1, 2, 4, 8)] == sorted(replicates(k, 0.04, 2) for k in (1, 2, 4, 8))
    assert replicates(4, 0.04, 10) == 11 and replicates(8, 0.04, 10) == 12 and replicates(2, 0.04, 30) == 30


def test_a_candidate_that_is_the_baseline_again_passes_no_more_often_than_half_alpha() -> None:
    """0.02 of many; each arm's best by one test errs more where seeds choose (benchmarks/equal_tuning.py)."""
    false, _, _ = simulated.shares("spike", 3, 2.0, 0.0, 40)
    assert false <= 0.025 + 3 * 0.025
    found, _, searched = simulated.shares("spike", 3, 2.0, 2.0, 25)
    assert found >= 0.85 and 9 <= searched < 27
