"""What must hold for every comparison, whatever the numbers."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assay import compare
from assay.core.errors import UsageError
from assay.stats import verdict_rule

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
ARM = st.lists(NUMBERS, min_size=1, max_size=8)
TESTS = st.sampled_from(["welch", "student", "permutation"])  # anytime reads runs in their order
OPPOSITE = {"progress": "regression", "regression": "progress"}
quick = settings(max_examples=150, deadline=None)


@given(ARM, ARM, TESTS, st.sampled_from(["maximize", "minimize"]), st.floats(0, 10))
@quick
def test_swapping_the_arms_turns_progress_into_regression(baseline, candidate, test, direction, smallest):
    there = compare(baseline, candidate, direction, min_effect=smallest, test=test)
    back = compare(candidate, baseline, direction, min_effect=smallest, test=test)
    assert back.verdict == OPPOSITE.get(there.verdict, there.verdict)
    assert back.p == pytest.approx(there.p, rel=1e-9)
    assert there.superiority == pytest.approx(1 - back.superiority)


@given(ARM, ARM, TESTS)
@quick
def test_the_other_direction_turns_progress_into_regression(baseline, candidate, test):
    there, back = (compare(baseline, candidate, way, test=test) for way in ("maximize", "minimize"))
    assert back.verdict == OPPOSITE.get(there.verdict, there.verdict)


@given(ARM, ARM, TESTS, st.integers(-900, 900))
@quick
def test_the_unit_of_the_metric_does_not_matter(baseline, candidate, test, exponent):
    assume(all(x == 0 or abs(x) > 1e-3 for x in baseline + candidate))
    unit = 2.0**exponent
    ours = compare(baseline, candidate, test=test, min_effect=0.5)
    other = compare([x * unit for x in baseline], [x * unit for x in candidate], test=test, min_effect=0.5 * unit)
    same = ["verdict", "p", "no_regression", "n_needed", "superiority", "effect_sd", "df", "reason"]
    assert [getattr(ours, name) for name in same] == [getattr(other, name) for name in same]
    assert other.ci == tuple(end * unit for end in ours.ci)


@given(ARM, ARM, TESTS, st.integers(-1000, 1000))
@quick
def test_the_zero_of_the_metric_does_not_matter(baseline, candidate, test, shift):
    ours = compare(baseline, candidate, test=test)
    other = compare([x + shift for x in baseline], [x + shift for x in candidate], test=test)
    assert other.p == pytest.approx(ours.p, rel=1e-3, abs=1e-9) or ours.reason != other.reason
    assert other.verdict == ours.verdict or abs(ours.p - 0.05) < 1e-6 or ours.reason != other.reason


@given(ARM, ARM, TESTS, st.randoms())
@quick
def test_the_order_of_seeds_does_not_matter(baseline, candidate, test, random):
    ours = compare(baseline, candidate, test=test)
    shuffled_b, shuffled_c = random.sample(baseline, len(baseline)), random.sample(candidate, len(candidate))
    other = compare(shuffled_b, shuffled_c, test=test)
    assert other.verdict == ours.verdict
    assert other.p == pytest.approx(ours.p, rel=1e-9)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8), st.randoms())
@quick
def test_the_order_of_pairs_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    ours, other = (compare(*zip(*rows, strict=True), paired=True) for rows in (pairs, shuffled))
    assert other.verdict == ours.verdict
    assert other.p == pytest.approx(ours.p, rel=1e-6)


@given(ARM, ARM, st.sampled_from(["welch", "student"]), st.integers(2, 4), st.floats(0, 10))
@quick
def test_more_identical_evidence_never_turns_progress_into_regression(baseline, candidate, test, times, smallest):
    once = compare(baseline, candidate, test=test, min_effect=smallest)
    more = compare(baseline * times, candidate * times, test=test, min_effect=smallest)
    assert (once.verdict, more.verdict) not in OPPOSITE.items()
    assert more.p <= once.p * (1 + 1e-9)


@given(ARM, ARM, TESTS, st.floats(0, 10), st.sampled_from(["maximize", "minimize"]))
@quick
def test_the_verdict_is_the_interval_or_held_back(baseline, candidate, test, smallest, direction):
    result = compare(baseline, candidate, direction, min_effect=smallest, test=test)
    low, high = result.ci
    assert low <= high
    said = verdict_rule.verdict(low, high, direction, smallest)
    assert result.verdict == ("inconclusive" if result.reason else said)
    assert not (result.no_regression and result.verdict == "regression" and smallest == 0)
    assert all(math.isfinite(x) for x in dataclasses.astuple(result) if isinstance(x, float))
    if min(len(baseline), len(candidate)) == 1:
        assert result.verdict == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "smallest", "word"),
    [
        (-0.5, 0.5, 1, "equivalent"),
        (0.1, 0.5, 1, "equivalent"),  # different, and too little to matter
        (0.1, 1.0, 1, "progress"),
        (-1.0, -0.1, 1, "regression"),
        (-1.0, 0.5, 1, "inconclusive"),
        (0.0, 0.5, 0, "inconclusive"),
        (-0.5, 0.0, 0, "inconclusive"),
        (0.1, 0.5, 0, "progress"),
        (0.0, 0.0, 0, "inconclusive"),
        (-math.inf, math.inf, 1, "inconclusive"),
    ],
)
def test_the_table_of_verdicts(low, high, smallest, word):
    assert verdict_rule.verdict(low, high, "maximize", smallest) == word
    assert verdict_rule.verdict(-high, -low, "minimize", smallest) == word


@pytest.mark.parametrize("test", ["welch", "student", "paired", "permutation"])
@pytest.mark.parametrize("n", range(1, 5))
def test_two_constants_prove_nothing_below_five_runs(test, n):
    assert compare([1.0] * n, [2.0] * n, test=test).verdict == "inconclusive"


@pytest.mark.parametrize("test", ["welch", "student", "paired", "permutation", "anytime"])
@pytest.mark.parametrize("baseline", [[1.0] * 40, [1.0, 1.1, 1.2, 1.1] * 10])
def test_runs_that_are_all_alike_are_one_run(test, baseline):
    """A script that ignores its seed prints one number forty times."""
    result = compare(baseline, [2.0] * 40, test=test)
    assert (result.verdict, result.p, result.ci) == ("inconclusive", 1.0, (-math.inf, math.inf))
    assert (result.candidate.n, result.candidate.sd, result.no_regression) == (1, None, False)
    assert "all 40 runs of the" in result.reason
    assert "does the seed reach the training?" in result.reason


def test_against_a_fixed_value_and_with_diverged_ones_too():
    assert compare(0.5, [0.9] * 20).verdict == "inconclusive"
    entered = compare([1.0, 1.1, 1.2], [5.0] * 20, diverged_candidate=2, worst=0.0)
    assert (entered.verdict, entered.candidate.n) == ("inconclusive", 3)


def test_single_ties_are_data():
    assert compare([0.97, 0.97, 0.98, 0.97], [0.99, 1.0, 0.99, 0.99]).verdict == "progress"
    # Where the caller has seen the predictions, a saturated metric is one, too.
    told = compare([1.0] * 5, [2.0] * 5, distinct=True)
    assert (told.verdict, told.ci, told.p) == ("progress", (1.0, 1.0), pytest.approx(2 / 252))
    assert "though they differ" in " ".join(told.warnings)


def test_what_is_deterministic_by_design_is_one_fixed_value():
    both = compare([1.0] * 5, [2.0] * 5, fixed=True)
    assert (both.verdict, both.ci, both.baseline.fixed, both.candidate.fixed) == ("progress", (1.0, 1.0), True, True)
    assert compare([1.0], [1.001], fixed=True, min_effect=0.01).verdict == "equivalent"
    assert compare(1.0, 0.5, fixed=True).verdict == "regression"
    one = compare([1.0, 1.1, 1.2], [2.0] * 3, fixed=True)
    assert (one.verdict, one.method) == ("progress", "one-sample t")
    assert compare([1.0, 1.1, 1.2], [2.0] * 3, fixed=True, paired=True).method == "one-sample t"
    with pytest.raises(UsageError, match="the runs of both arms differ"):
        compare([1.0, 1.1], [2.0, 2.1], fixed=True)


def test_rounding_is_not_spread():
    assert compare([0.3, 0.3, 0.1 + 0.2], [0.6, 0.6, 0.1 + 0.5]).reason
    assert compare([0.1 + 0.2] * 5, [0.3] * 5, min_effect=0.1, distinct=True).verdict == "equivalent"
    assert "all 3 runs of the baseline" in compare([0.3, 0.3, 0.1 + 0.2], [0.6, 0.7, 0.8]).reason


def test_identical_lists_are_doubted():
    result = compare([1, 2, 3], [3, 2, 1])
    assert (result.verdict, result.delta, result.p) == ("inconclusive", 0, 1)
    assert "both arms hold the same numbers" in result.warnings[0]


def test_diverged_replicates_hold_the_verdict_back():
    baseline, candidate = [1.0, 1.1, 1.2, 1.1], [5.0, 5.1, 5.2]
    assert compare(baseline, candidate).verdict == "progress"
    held = compare(baseline, candidate, diverged_candidate=1, min_effect=0.1)
    assert (held.verdict, held.no_regression, held.diverged_candidate) == ("inconclusive", False, 1)
    assert held.fisher_p == pytest.approx(1)
    entered = compare(baseline, candidate, diverged_candidate=1, worst=0.0)
    assert (entered.candidate.n, entered.candidate.mean, entered.reason) == (4, pytest.approx(15.3 / 4), "")
    assert compare(baseline, [], diverged_candidate=4).fisher_p == pytest.approx(2 / 70)
    assert compare(baseline, [], diverged_candidate=4).delta is None


def test_any_kind_of_number_is_a_fixed_value():
    assert {compare(kind(1), [2.0, 3, 4]).method for kind in (int, float, np.float32, np.int64)} == {"one-sample t"}
    with pytest.raises(UsageError, match="baseline"):
        compare(None, [2.0, 3, 4])


def test_a_diverged_run_breaks_its_pair():
    assert compare([1.0, 2, 3], [4.0, 5], paired=True, diverged_candidate=1).verdict == "inconclusive"
    assert compare([1.0, 2, 3], [4.0, 5], paired=True, diverged_candidate=1, worst=0).verdict == "inconclusive"


def test_uneven_arms_need_more():
    """Welch alone would say progress; at n=3 against 20 it is wrong too often for that."""
    baseline, candidate = [0.1 * (i - 9.5) for i in range(20)], [0.9, 1.0, 1.32]
    result = compare(baseline, candidate)
    assert result.verdict == "progress"
    close = compare(baseline, [x - result.ci[0] + 1e-6 for x in candidate])
    assert (close.ci[0] > 0, close.p < 0.05, close.verdict) == (True, True, "inconclusive")
    assert "too uneven" in close.reason


@pytest.mark.parametrize("test", ["student", "permutation"])
def test_a_method_for_equal_spreads_must_survive_unequal_ones(test):
    baseline, candidate = [0.1 * (i - 9.5) for i in range(20)], [0.9, 1.0, 1.32, 1.25]
    result = compare(baseline, candidate, test=test)
    shown = compare(baseline, [x + 3 for x in candidate], test=test)
    assert (result.p < 0.05, shown.verdict) == (True, "progress")
    wide = compare(baseline, [0.2, 0.9, 1.9, 1.2], test=test)
    assert (wide.p < 0.05, wide.verdict) == (True, "inconclusive")
    assert "with one arm five times wider the verdict would not hold: use welch" in wide.reason


def test_an_effect_too_small_to_ask_for_runs():
    assert compare([1.0, 2, 3], [2.0, 3, 4], min_effect=1e-300).n_needed is None
    assert compare([1.0, 2, 3], [2.0, 3, 4], min_effect=0.01).n_needed == 156979


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([], [1.0]), "baseline is empty"),
        (([1.0], [math.nan]), "replicate 1 of candidate is nan"),
        (([1.0], [1.0, math.inf]), "replicate 2 of candidate is inf"),
        (([1.0], ["high"]), "candidate holds something that is not a number"),
        (([1.0], [[1.0]]), "candidate has 2 dimensions"),
        (([1.0], [1e301]), "1e+301"),
        ((1.0, 2.0), "both sides are fixed values"),
        (([1.0], [1.0], "up"), "direction is 'up'"),
        (([1.0, 2], [1.0], "maximize", True), "2 baseline and 1 candidate"),
        (([1.0], [1.0], "maximize", False, 1.5), "alpha is 1.5"),
        (([1.0], [1.0], "maximize", False, 0.05, -1), "min_effect is -1"),
        (([1.0], [1.0], "maximize", False, 0.05, math.nan), "min_effect is nan"),
    ],
)
def test_what_cannot_be_compared_is_named(arguments, said):
    with pytest.raises(UsageError, match=said.replace("+", r"\+")):
        compare(*arguments)


@pytest.mark.parametrize("options", [{"test": "bayes"}, {"test": "student", "paired": True}, {"diverged_baseline": -1}])
def test_options_that_do_not_exist_are_named(options):
    with pytest.raises(UsageError, match="allowed"):
        compare([1.0, 2], [1.0, 2], **options)
