"""Selection and confirmation: calibrated on real runs of one recipe, and the same rule as `compare`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay.core.errors import UsageError
from assay.stats import anytime_valid_test, pair_correlation, statistical_power
from assay.stats.arm_comparison import compare
from assay.stats.compare_arms import MeasuredArm
from assay.stats.confirmation_rule import ALPHA, better, chance, confirm, level, replicates

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import null_ideas


@pytest.fixture(scope="module")
def pool():
    return null_ideas.pool()


def test_fifty_null_ideas_are_turned_away(pool):
    """4,000 projects: 0.007 is expected, 0.05 allowed; three standard errors are 0.004."""
    found = null_ideas.rules(np.random.default_rng(7), pool, 4000)
    assert 0.002 < found.accepted.mean() < 0.02
    assert abs(found.claimed.mean()) < 0.05


def test_a_gain_of_two_sd_is_accepted_and_of_one_is_not_lost_for_good(pool):
    rng = np.random.default_rng(8)
    assert null_ideas.power(rng, pool, 20_000, 2.0) >= 0.95 - 0.005
    assert null_ideas.power(rng, pool, 20_000, 1.0) >= 0.22 - 0.009
    assert null_ideas.power(rng, pool, 20_000, 0.0) < 0.002


def test_common_habits_are_not(pool):
    """The simulation can fail: the habits that the rules replace do."""
    rng = np.random.default_rng(9)
    assert null_ideas.keep_if_lower(rng, pool, 2000).accepted.mean() > 0.9
    assert null_ideas.gate_without_rerun(rng, pool, 2000).accepted.mean() > 0.3


def test_the_levels_of_all_attempts_stay_below_alpha():
    assert ALPHA <= 0.025 and level(1) == ALPHA / 2 and level(3) == ALPHA / 8
    assert sum(level(attempt) for attempt in range(1, 60)) <= ALPHA
    for attempt in (0, -1):
        with pytest.raises(UsageError, match=f"attempt is {attempt}"):
            level(attempt)
        with pytest.raises(UsageError, match=f"confirmation is {attempt}"):
            level(1, attempt)


def test_whatever_ideas_are_called_their_confirmations_share_one_level():
    assert [level(1, j) for j in (1, 2, 3)] == [0.0125, 0.05 / 6, 0.05 / 12]
    assert level(5, 2) == level(5), "many attempts at one idea are dearer than two ideas"
    assert sum(level(1, j) for j in range(1, 100_000)) <= 1.5 * ALPHA


def test_a_confirmation_is_as_large_as_two_standard_deviations_take():
    assert [replicates(level(1, j), 3) for j in (1, 4, 10)] == [8, 11, 14]
    assert replicates(level(1), 10) == 10 and replicates(level(1), 3, fixed=True) == 6
    for j, n in ((1, 21), (4, 29), (10, 38)):
        assert chance(level(1, j), n, 1.0) >= 0.8 > chance(level(1, j), n - 1, 1.0)


@pytest.mark.parametrize("r", [0.0, 0.6])
def test_a_paired_confirmation_finds_two_sd_as_often_as_promised_and_errs_at_its_level(r):
    """From experiments that were selected, by r as their own pairs show it: 800 ideas of +2 sd at 5+5 and 10+10."""
    rng = np.random.default_rng(5)
    for seen in (5, 10):
        baseline, candidate = pairs(rng, 800, seen, r, 2.0)
        gaps = candidate - baseline
        chosen = gaps.mean(1) / gaps.std(1, ddof=1) * seen**0.5 > stats.t.ppf(1 - 0.02, seen - 1)
        least = [
            pair_correlation.measured(*both).least for both in zip(baseline[chosen], candidate[chosen], strict=True)
        ]
        sizes = Counter(replicates(level(1), 3, pairs=one) for one in np.round(least, 2).tolist())
        found = sum(count * chance(level(1), n, 2.0, pairs=r) for n, count in sizes.items()) / chosen.sum()
        assert found > 0.89, (r, seen, found)
    for n in sizes:
        fresh = np.subtract(*pairs(rng, 4000, n, r, 0.0))
        wrong = np.mean(fresh.mean(1) / fresh.std(1, ddof=1) * n**0.5 > stats.t.ppf(1 - level(1), n - 1))
        assert wrong < level(1) + 3.5 * (level(1) / 4000) ** 0.5, "whatever n was chosen"


def pairs(rng, draws, n, r, gain):
    """(draws, n) of both arms, whose pairs correlate r."""
    baseline = rng.normal(size=(draws, n))
    return baseline, r * baseline + (1 - r * r) ** 0.5 * rng.normal(size=(draws, n)) + gain


def test_pairs_promise_what_a_simulation_of_the_paired_t_finds():
    fresh = np.subtract(*pairs(np.random.default_rng(6), 20_000, 8, 0.5, -1.2))
    found = np.mean(fresh.mean(1) / fresh.std(1, ddof=1) * 8**0.5 > stats.t.ppf(1 - level(1), 7))
    assert found == pytest.approx(chance(level(1), 8, 1.2, pairs=0.5), abs=0.012)


def test_one_planned_look_is_decided_more_often_by_welch_than_by_a_test_for_many_looks():
    """Why a confirmation under judge.test: anytime is Welch: both hold their level at an n fixed beforehand."""
    n, alpha = replicates(level(1), 3), 2 * level(1)
    critical = anytime_valid_test.critical(n, alpha)
    assert statistical_power.one_sample_power(2.0, 2**0.5, n, alpha, critical) < 0.5 < 0.9 <= chance(level(1), n, 2.0)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_simulated_rule_is_the_rule_of_compare(direction):
    rng = np.random.default_rng(3)
    baseline, candidate = rng.normal(size=(300, 10)), rng.normal(0.8, 1.4, size=(300, 10))
    for alpha in (0.05, 2 * level(1), 2 * level(2)):
        words = [compare(b, c, direction, alpha=alpha).verdict for b, c in zip(baseline, candidate, strict=True)]
        assert [word == "progress" for word in words] == better(baseline, candidate, direction, alpha).tolist()
    assert 0 < better(baseline, candidate, "maximize", 0.05).sum() < 300


def arm(values, diverged=0):
    return MeasuredArm([*enumerate(values), *((-one - 1, None) for one in range(diverged))])


def test_confirmation_is_judged_at_the_level_of_its_attempt():
    rng = np.random.default_rng(4)
    baseline, candidate = arm(rng.normal(size=10)), arm(rng.normal(1.35, 1, size=10))
    words = [confirm(baseline, candidate, "maximize", attempt).verdict for attempt in (1, 2, 3, 4, 8)]
    assert words[0] == "progress" and words[-1] == "inconclusive"
    assert confirm(baseline, candidate, "maximize", 2).alpha == 2 * level(2)


def test_a_diverged_replicate_confirms_nothing():
    low, high = [0.0, 0.1, 0.2, 0.3, 0.1], [9.0, 9.1, 9.2, 9.3, 9.1]
    assert confirm(arm(low), arm(high), "maximize", 1).verdict == "progress"
    assert confirm(arm(low), arm(high, 1), "maximize", 1).verdict == "inconclusive"
    assert confirm(arm(low, 1), arm(high), "maximize", 1, worst=0.0).verdict == "progress"
