"""When `assay try` ends: the rule itself, and a short form of benchmarks/try_looks.py, seeds fixed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from assay.stats.arm_comparison import compare
from assay.stats.sample_size import smallest_effect
from assay.stats.stopping_rule import LOOKS, end

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import try_looks

FLAT, WORSE = [0.4, 0.6, 0.5], [0.3, 0.5, 0.45]


def test_worthless_ideas_cost_less_than_half_and_pass_no_more_often_than_declared() -> None:
    found, _ = try_looks.ideas(100, 0.0, 1)
    assert 1 - np.mean([one.n for one in found]) / LOOKS[-1] > 0.5  # 0.57 ± 0.035
    assert np.mean([one.verdict != "inconclusive" for one in found]) < 0.05 + 3 * 0.022


def test_good_ideas_are_found() -> None:
    """0.995 of 4,000."""
    found, _ = try_looks.ideas(60, 2.0, 2)
    assert np.mean([one.verdict == "progress" for one in found]) >= 0.95


def test_the_rule() -> None:
    undecided = compare(FLAT, [0.5, 0.7, 0.55], alpha=0.0075)
    assert end(undecided, 3, LOOKS, 0.0075, 0.03) == ""
    assert end(undecided, 20, LOOKS, 0.0075, 0.03) == "last look"
    assert end(undecided, 3, LOOKS, 0.0, 0.03) == "alpha is spent"
    assert end(compare(FLAT, WORSE, alpha=0.0075), 3, LOOKS, 0.0075, 0.03) == "futile"
    assert end(compare(FLAT, WORSE, alpha=0.0075), 3, LOOKS, 0.0075, None) == "", "without a plan nothing is futile"
    better = compare(FLAT, [1.4, 1.6, 1.5], alpha=0.0075)
    assert better.verdict == "progress" and end(better, 3, LOOKS, 0.0075, 0.03) == "decided"
    diverged = compare(FLAT, [0.5, 0.7], diverged_candidate=1)
    assert end(diverged, 3, LOOKS, 0.0075, 0.03) == "diverged"
    entered = compare(FLAT, [0.5, 0.7], diverged_candidate=1, worst=0.0)
    assert end(entered, 3, LOOKS, 0.0075, 0.03) in ("", "futile"), "a worst value makes it a number as any"
    assert end(compare(FLAT, [0.5, 0.5, 0.5]), 3, LOOKS, 0.0075, 0.03) == "all alike"


def test_the_smallest_effect_is_what_power_analysis_finds() -> None:
    """Welch at n=20, alpha 0.05: 0.909 sd (any table of the two-sample t test); one sample: 0.660 sd."""
    found = smallest_effect(2.0, 20, 0.05, "welch", fixed_value=False)
    assert found is not None and abs(found / 2.0 - 0.909) < 0.003
    alone = smallest_effect(2.0, 20, 0.05, "welch", fixed_value=True)
    assert alone is not None and abs(alone / 2.0 - 0.660) < 0.003
    assert smallest_effect(0.0, 20, 0.05, "welch", fixed_value=False) is None
    assert smallest_effect(1.0, 3, 0.05, "anytime", fixed_value=False) is None
