"""One factor at a time: what is named, in words, and a short form of benchmarks/sensitivity.py, seeds fixed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import hadamard

from assay.report import sensitivity_text
from assay.stats.compare_arms import MeasuredArm
from assay.stats.one_factor import IDLE, MATTERS, UNSHOWN, Factor, one_factor

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import sensitivity as simulated

SEEDS = np.random.default_rng(7).normal(0, 0.05, 8)


def arm(shift: float, noise: float = 0.004, stream: int = 0) -> MeasuredArm:
    own = (
        noise * hadamard(8)[1 if not stream else 2 + stream % 6]
    )  # of mean 0: differences of means are those of the shifts
    return MeasuredArm(list(enumerate((SEEDS + shift + own).tolist())))


def named(levels: dict, at: dict, min_effect: float = 0.02) -> dict[str, Factor]:
    made = {key: None if shift is None else arm(shift, stream=n) for n, (key, shift) in enumerate(levels.items(), 1)}
    found = one_factor(arm(0.0), made, at, "maximize", alpha=0.05, min_effect=min_effect, worst=None, distinct=True)
    return {one.key: one for one in found}


def test_what_matters_comes_first_with_the_range_that_is_worth_tuning() -> None:
    """Seeds move all values by 0.05, which pairs take away; the smallest difference that matters is 0.02."""
    levels = {
        ("up", 1e-3): -0.08, ("up", 9e-3): 0.2,
        ("peak", 64): -0.1, ("peak", 256): -0.07,
        ("cliff", 0.05): 0.0, ("cliff", 0.2): None,
        ("idle", 32): 0.001, ("idle", 128): -0.001,
        ("kind", "cosine"): 0.15,
    }  # fmt: skip
    at = {"idle": 64, "peak": 128, "up": 3e-3, "cliff": 0.1, "kind": "constant"}
    found = named(levels, at)
    assert list(found) == ["up", "kind", "peak", "cliff", "idle"]
    assert {key: one.word for key, one in found.items() if one.word != MATTERS} == {"idle": IDLE}
    assert found["up"].range == (3e-3, 0.027), "one step beyond the best value tried"
    assert found["peak"].range == (64, 256) and found["peak"].toward == 0
    assert found["cliff"].range == (0.05, 0.1) and found["cliff"].levels[1].verdict == "fails"
    assert found["kind"].range is None
    said = sensitivity_text.text(list(found.values()), "accuracy", 8, 0.05, 0.02, {"cliff=0.2": "cliff=0.2 diverges"})
    assert "does not matter here, within min_effect: idle" in said and "tune it over 0.003 to 0.027" in said
    assert "cliff matters: 0.2 diverges or does not run; tune it over 0.05 to 0.1" in said
    assert said.endswith("next: assay sweep -S up=0.0062,0.013,0.027 -S kind=cosine -S peak=64,102,161,256")


def test_without_a_smallest_effect_nothing_is_said_not_to_matter() -> None:
    found = named({("a", 1): 0.0, ("a", 4): 0.001}, {"a": 2}, min_effect=0.0)
    assert found["a"].word == UNSHOWN and found["a"].range is None
    said = sensitivity_text.text(list(found.values()), "accuracy", 8, 0.05, 0.0, {})
    assert "a: no effect is shown, it is below 0.0" in said and "cannot be shown" in said
    assert "next: tune none of them" in said


def test_what_failed_counts_as_tried() -> None:
    """0.01 shows alone; with fifty values that did not run beside it, it does not."""
    alone = named({("a", 2): 0.01}, {"a": 1}, 0.0)["a"]
    beside = named({("a", 2): 0.01, **{("b", n): None for n in range(50)}}, {"a": 1, "b": 99}, 0.0)["a"]
    assert (alone.word, beside.word) == (MATTERS, UNSHOWN)
    assert beside.levels[0].p_holm == pytest.approx(51 * alone.levels[0].p_holm)


def test_the_first_is_named_and_the_inert_are_not() -> None:
    """0.99 and 0.03 of many more designs."""
    found = [simulated.named(shape, 3.0, 3) for shape in simulated.SHAPES]
    right, inert = (sum(shares) / len(found) for shares in zip(*found, strict=True))
    assert right >= 0.9 and inert <= 0.15
