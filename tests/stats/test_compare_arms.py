"""Arms to a comparison, the one way for all commands: pairs, worst values in their places, arms without chance."""

from __future__ import annotations

import pytest

from assay.core.errors import UsageError
from assay.stats.arm_comparison import compare
from assay.stats.arm_scores import mean_and_sd
from assay.stats.compare_arms import MeasuredArm, compare_arms, fitting_test, matched
from assay.stats.strategy_replicates import Member, MetricConditions, ReplicateGroup, check_paired

FIRST = MeasuredArm([(3, 0.5), (4, 0.7), (5, None), (6, 0.6)])
SECOND = MeasuredArm([(4, 0.9), (5, 0.8), (6, None), (7, 0.4)])


def judged(baseline, candidate, **changed):
    asked = {"test": "welch", "alpha": 0.05, "min_effect": 0.0, "worst": None}
    return compare_arms(baseline, candidate, "maximize", **{**asked, **changed})


def test_pairs_are_what_both_have_and_a_worst_value_stands_in_its_place():
    assert matched(FIRST, SECOND, None) == ([0.7], [0.9])
    assert matched(FIRST, SECOND, 0.0) == ([0.7, 0.0, 0.6], [0.9, 0.8, 0.0])
    found = judged(FIRST, SECOND, test="paired", worst=0.0)
    alone = compare([0.7, 0.0, 0.6], [0.9, 0.8, 0.0], test="paired")
    assert (found.p, found.ci) == (alone.p, alone.ci)
    assert found.entered and (found.diverged_baseline, found.diverged_candidate) == (1, 1)
    assert "diverged replicates" in judged(FIRST, SECOND, test="paired").reason


def test_without_pairs_a_worst_value_enters_and_without_one_the_verdict_is_held_back():
    found = judged(FIRST, SECOND, worst=0.0)
    alone = compare([0.5, 0.7, 0.6], [0.9, 0.8, 0.4], diverged_baseline=1, diverged_candidate=1, worst=0.0)
    assert found == alone and found.entered
    assert judged(FIRST, SECOND).reason.startswith("diverged replicates are results too")


def test_a_task_without_chance_is_one_value_where_its_arm_is():
    same = MeasuredArm([(1, 0.5), (2, 0.5)])
    assert judged(0.4, same, fixed=True).method == "fixed values"
    lost = MeasuredArm([*same.replicates, (3, None)])
    assert not lost.constant and judged(0.4, lost, fixed=True, worst=0.0).verdict == "inconclusive", "no bug, a result"
    assert [fitting_test(test, fixed_value=True) for test in ("paired", "permutation", "anytime")] == [
        "welch",
        "welch",
        "anytime",
    ]


def test_runs_without_a_partner_are_refused():
    def group(*seeds):
        return ReplicateGroup("x", tuple(Member(0.1 * i, seed, MetricConditions()) for i, seed in enumerate(seeds)))

    check_paired(group("", ""), group("", ""))
    check_paired(group("1", "2"), group("2", "1"))
    for sides in ((group("", "", ""), group("", "")), (group("1", "2"), group("1", "3")), (group("1"), group(""))):
        with pytest.raises(UsageError, match="the same seeds"):
            check_paired(*sides)


def test_mean_and_sd_of_what_is_there():
    assert mean_and_sd([]) == (None, None) and mean_and_sd([2.0]) == (2.0, None)
    assert mean_and_sd([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


def test_an_n_at_which_the_anytime_test_decides_nothing_is_answered():
    """It looked for ever for a difference that two runs find."""
    found = compare([1.0, 2.0], [3.0, 4.5], test="anytime")
    assert found.reason.startswith("n=2 cannot give p below") and found.min_detectable_effect is None
