"""Differences within blocks: calibrated, the same as a regression with a term for each block, refused unbalanced."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay import compare
from assay.core.errors import UsageError
from assay.stats.arm_comparison import DISAGREE
from assay.stats.arm_scores import ArmScores
from assay.stats.compare_arms import MeasuredArm, compare_arms

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import judge_blocks

TWO = ["a", "b"] * 5
RNG = np.random.default_rng(20)
SHIFT = np.array([0.0, 30.0] * 5)
BASELINE, CANDIDATE = SHIFT + RNG.normal(size=10), SHIFT + 2 + RNG.normal(size=10)


def test_error_rates_hold_within_blocks() -> None:
    rows = list(judge_blocks.false_verdicts(200))
    assert [row for row in rows if not row.holds] == []
    confounded = next(row for row in rows if row.what.startswith("each arm on a class of its own"))
    assert confounded.measured > 0.8  # what blocks are for


def test_equal_spreads_give_the_regression_with_a_term_for_each_block() -> None:
    """By hand where both arms have one spread: then Welch's statistic is that of two-way analysis of variance."""
    baseline = SHIFT + np.repeat([-2.0, -1.0, 0.0, 1.0, 2.0], 2)
    candidate = baseline + 1.5
    found = compare(baseline, candidate, blocks=(TWO, TWO))
    half = {"a": -0.5, "b": 0.5}
    design = np.array([[1.0, arm, half[block], arm * half[block]] for arm in (-0.5, 0.5) for block in TWO])
    values = np.concatenate([baseline, candidate])
    solved, (squares,), *_ = np.linalg.lstsq(design, values, rcond=None)
    se = np.sqrt(np.linalg.inv(design.T @ design)[1, 1] * squares / 16)  # 20 runs, 4 means
    assert found.delta == pytest.approx(solved[1]) and found.df == pytest.approx(16)
    assert found.p == pytest.approx(2 * stats.t.sf(1.5 / se, 16), rel=1e-6)
    assert found.method == "Welch within blocks"
    assert found.blocks is not None and found.blocks.interaction_p == pytest.approx(1.0)
    assert [one.delta for one in found.blocks.differences] == pytest.approx([1.5, 1.5])


def test_without_blocks_the_spread_of_machines_hides_what_they_show() -> None:
    assert compare(BASELINE, CANDIDATE).verdict == "inconclusive"
    found = compare(BASELINE, CANDIDATE, blocks=(TWO, TWO), min_effect=0.5)
    assert found.verdict == "progress" and found.ci[1] - found.ci[0] < 3
    assert found.n_needed is not None and found.n_needed % 2 == 0
    assert DISAGREE not in found.warnings


def test_one_block_alone_changes_nothing() -> None:
    plain, one = compare(BASELINE, CANDIDATE), compare(BASELINE, CANDIDATE, blocks=(["a"] * 10, ["a"] * 10))
    assert (plain.delta, plain.ci, plain.p, plain.df) == (one.delta, one.ci, one.p, one.df)


def test_a_difference_that_depends_on_the_block_is_said() -> None:
    other = SHIFT + np.array([4.0, -4.0] * 5) + RNG.normal(size=10)
    found = compare(BASELINE, other, blocks=(TWO, TWO))
    assert found.verdict == "inconclusive"
    assert found.blocks is not None and found.blocks.interaction_p is not None and found.blocks.interaction_p < 0.001
    assert found.warnings[-1] == DISAGREE


def test_against_a_floor_blocks_are_one_sample() -> None:
    found = compare(0.0, CANDIDATE, blocks=([], TWO))
    wide = compare(0.0, CANDIDATE)
    assert found.df is not None and 4 <= found.df <= 8
    assert found.ci[1] - found.ci[0] < (wide.ci[1] - wide.ci[0]) / 5


def test_unbalanced_blocks_decide_nothing() -> None:
    found = compare(BASELINE, CANDIDATE[:9], blocks=(TWO, TWO[:9]))
    assert found.verdict == "inconclusive"
    assert found.reason == "blocks are unbalanced: the candidate has 5 on a, 4 on b"
    assert compare(BASELINE, CANDIDATE, blocks=(TWO, ["a"] * 10)).reason.endswith("the candidate has 10 on a, 0 on b")
    with pytest.raises(UsageError, match="candidate has 10 runs in 9 blocks"):
        compare(BASELINE, CANDIDATE, blocks=(TWO, TWO[:9]))
    with pytest.raises(UsageError, match="test='paired' with blocks"):
        compare(BASELINE, CANDIDATE, paired=True, blocks=(TWO, TWO))
    assert ArmScores(np.array([1.0, 2.0]), blocks=("a", "b")).variance is None, "one run in each block has no spread"


def test_a_diverged_replicate_keeps_its_block() -> None:
    names = dict(enumerate(TWO))
    first = MeasuredArm(list(enumerate(BASELINE.tolist())), blocks=names)
    second = MeasuredArm([(0, None), *list(enumerate(CANDIDATE.tolist()))[1:]], blocks=names)
    given = {"test": "welch", "alpha": 0.05, "min_effect": 0.0}
    held = compare_arms(first, second, "maximize", worst=None, **given)
    assert held.verdict == "inconclusive" and held.candidate.diverged == 1
    entered = compare_arms(first, second, "maximize", worst=-100.0, **given)
    assert entered.entered and entered.candidate.n == 10 and entered.blocks is not None
    with pytest.raises(UsageError, match="the baseline alone was measured in blocks"):
        compare_arms(first, MeasuredArm(second.replicates[1:]), "maximize", worst=None, **given)
