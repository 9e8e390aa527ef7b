"""New examples, resampled splits, families, looks, factorial designs, targets: oracles and rules."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from assay import compare
from assay.core.errors import UsageError
from assay.stats import confirmation_rule, multiple_comparisons, sequential_testing
from assay.stats.compare_arms import MeasuredArm, compare_arms
from assay.stats.corrected_resampled_ttest import resampled
from assay.stats.factorial_design import factorial
from assay.stats.sequential_levels_table import LEVELS
from assay.stats.target_value_test import reaches
from assay.stats.variance_components import new_examples

# --- new examples ---


def test_two_fixed_predictors_are_a_paired_t_over_examples():
    rng = np.random.default_rng(0)
    baseline, candidate = rng.normal(size=50), rng.normal(0.3, 1, 50)
    ours, theirs = new_examples(baseline, candidate), stats.ttest_rel(candidate, baseline)
    np.testing.assert_allclose([ours.p, ours.df], [theirs.pvalue, theirs.df], rtol=1e-9)
    np.testing.assert_allclose(ours.ci, theirs.confidence_interval(0.95), rtol=1e-9)
    assert ours.share_of_examples == pytest.approx(1)


def test_luck_of_seeds_alone_is_welch_over_runs():
    rng = np.random.default_rng(1)
    runs_b, runs_c = rng.normal(size=(4, 1)), rng.normal(1, 2, (6, 1))
    ours, theirs = new_examples(runs_b + np.zeros(30), runs_c + np.zeros(30)), compare(runs_b[:, 0], runs_c[:, 0])
    np.testing.assert_allclose(ours.ci, theirs.ci, rtol=1e-9)
    assert ours.share_of_examples == pytest.approx(0, abs=1e-12)


def test_paired_seeds_are_one_table_of_differences():
    rng = np.random.default_rng(2)
    shared, baseline = rng.normal(size=(5, 1)), rng.normal(size=(5, 40))
    candidate = baseline + shared + rng.normal(size=40)
    ours = new_examples(baseline, candidate, paired=True)
    parts = (candidate - baseline).mean(axis=1).var(ddof=1) / 5, (candidate - baseline).mean(axis=0).var(ddof=1) / 40
    assert (ours.ci[1] - ours.ci[0]) / 2 / stats.t.ppf(0.975, ours.df) == pytest.approx(np.sqrt(sum(parts)))
    assert ours.df == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 39))


def test_the_variance_is_seeds_plus_examples_less_what_both_count():
    rng = np.random.default_rng(12)
    scores = [rng.normal(size=20) + rng.normal(0, 0.3, (runs, 1)) + rng.normal(0, 2, (runs, 20)) for runs in (4, 6)]
    gaps = scores[1].mean(axis=0) - scores[0].mean(axis=0)
    parts, dfs = [gaps.var(ddof=1) / 20], [19]
    for table in scores:
        runs = len(table)
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        parts += [table.mean(axis=1).var(ddof=1) / runs, -(rest**2).sum() / ((runs - 1) * 19) / (runs * 20)]
        dfs += [runs - 1, (runs - 1) * 19]
    found = new_examples(*scores)
    variance, df = sum(parts), sum(parts) ** 2 / sum(part**2 / df for part, df in zip(parts, dfs, strict=True))
    assert found.df == pytest.approx(df)
    assert found.ci[1] - found.ci[0] == pytest.approx(2 * stats.t.ppf(0.975, df) * np.sqrt(variance))


def test_fixed_and_broken_examples_are_counted_by_majority():
    baseline = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 1, 0]])
    candidate = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 0, 1]])
    found = new_examples(baseline, candidate)
    assert (found.fixed, found.broken) == (2, 1)
    assert new_examples(baseline * 0.5, candidate).fixed is None


def test_one_run_says_nothing_about_seeds():
    found = new_examples(np.ones((1, 5)) * 0.3, np.arange(10.0).reshape(2, 5))
    assert (found.p, found.ci) == (1.0, (-np.inf, np.inf))


@pytest.mark.parametrize(
    ("baseline", "candidate", "said"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "3 and 4 examples"),
        (np.ones((2, 1)), np.ones((2, 1)), r"shape \(2, 1\)"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), "not finite"),
    ],
)
def test_scores_that_do_not_fit_are_refused(baseline, candidate, said):
    with pytest.raises(UsageError, match=said):
        new_examples(baseline, candidate)
    with pytest.raises(UsageError, match="2 and 3 runs"):
        new_examples(np.ones((2, 4)), np.ones((3, 4)), paired=True)


# --- resampled splits, families ---


def test_the_corrected_t_adds_the_overlap():
    gaps = [0.1, 0.3, 0.2, -0.1, 0.15]
    plain = stats.ttest_1samp(gaps, 0)
    t = plain.statistic * np.sqrt(1 / 5) / np.sqrt(1 / 5 + 20 / 80)
    found = resampled(gaps, train=80, test=20)
    assert found.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert resampled([0.1, 0.1], 80, 20).p == 1
    with pytest.raises(UsageError, match="1 split"):
        resampled([0.1], 80, 20)


def arms_on_splits(n=8, overlap=0.25):
    rng = np.random.default_rng(4)
    shared = rng.normal(0.9, 0.02, n)
    pairs = [shared + rng.normal(mean, 0.005, n) for mean in (0.0, 0.02)]
    return [MeasuredArm(list(enumerate(values)), overlap) for values in pairs]


def test_splits_are_judged_by_the_corrected_t_split_by_split():
    baseline, candidate = arms_on_splits()
    asked = {"test": "resampled", "alpha": 0.05, "min_effect": 0.005, "worst": None, "distinct": True}
    found = compare_arms(baseline, candidate, "maximize", **asked)
    gaps = np.array(candidate.values) - np.array(baseline.values)
    ours = resampled(gaps, 80, 20)
    assert (found.p, found.ci) == (pytest.approx(ours.p), pytest.approx(ours.ci)) and found.method == (
        "corrected resampled t"
    )
    moved = MeasuredArm(candidate.replicates[::-1], 0.25)
    assert compare_arms(baseline, moved, "maximize", **asked).p == pytest.approx(found.p), "matched by number"
    fixed = compare_arms(0.9, candidate, "maximize", **asked)
    assert fixed.p == pytest.approx(resampled(np.array(candidate.values) - 0.9, 80, 20).p)
    public = compare(baseline.values, candidate.values, test="resampled", overlap=0.25)
    assert public.p == pytest.approx(found.p)
    welch = compare(baseline.values, candidate.values)
    assert welch.method == "Welch" and welch.p != found.p


def test_cautions_on_splits_are_about_differences():
    baseline, candidate = arms_on_splits(12)
    asked = {"direction": "maximize", "test": "resampled", "alpha": 0.05, "min_effect": 0.005, "worst": None}
    wide = [(number, 10 * value) for number, value in candidate.replicates]
    found = compare_arms(baseline, MeasuredArm(wide, 0.25), **asked, distinct=True)
    assert not any("spread differently" in said for said in found.warnings), "no test here takes spreads for equal"
    far = [(number, value + 0.3 * (number == 0)) for number, value in candidate.replicates]
    found = compare_arms(baseline, MeasuredArm(far, 0.25), **asked, distinct=True)
    assert any("runs of the pairs are lopsided" in said for said in found.warnings)


def test_what_splits_cannot_say_is_said():
    baseline, candidate = arms_on_splits()
    with pytest.raises(UsageError, match="with no overlap"):
        compare(baseline.values, candidate.values, test="resampled")
    with pytest.raises(UsageError, match=r"overlap=0\.2"):
        compare(baseline.values, candidate.values, overlap=0.2)
    with pytest.raises(UsageError, match="overlap is 0"):
        compare(baseline.values, candidate.values, test="resampled", overlap=0)
    with pytest.raises(UsageError, match="a resampled comparison has 7 baseline and 8"):
        compare(baseline.values[:7], candidate.values, test="resampled", overlap=0.2)
    asked = {"test": "resampled", "alpha": 0.05, "min_effect": 0.001, "distinct": True}
    lost = MeasuredArm([(0, None), *candidate.replicates[1:]], 0.25)
    held = compare_arms(baseline, lost, "maximize", worst=None, **asked)
    assert held.verdict == "inconclusive" and "diverged" in held.reason
    assert compare_arms(baseline, lost, "maximize", worst=0.0, **asked).entered
    same = MeasuredArm([(number, 0.9) for number, _ in baseline.replicates], 0.25)
    flat = compare_arms(same, same, "maximize", worst=None, **asked)
    assert flat.verdict == "inconclusive" and "no spread between the splits" in flat.reason
    wide = compare_arms(baseline, candidate, "maximize", worst=None, **(asked | {"min_effect": 0.001}))
    assert wide.n_needed is None, "splits overlap: no number of them finds so little"
    assert compare_arms(baseline, candidate, "maximize", worst=None, **(asked | {"min_effect": 0.02})).n_needed


def test_a_confirmation_on_splits_ends_where_more_find_little_more():
    level = confirmation_rule.level(1)
    n = confirmation_rule.replicates(level, 3, pairs=0.0, overlap=0.29)
    assert n == 14 and confirmation_rule.chance(level, n, 2.0, pairs=0.0, overlap=0.29) < 0.9
    few = confirmation_rule.replicates(level, 3, pairs=0.8, overlap=0.1)
    assert (
        confirmation_rule.chance(level, few, 2.0, pairs=0.8, overlap=0.1)
        >= 0.9
        > confirmation_rule.chance(level, few - 1, 2.0, pairs=0.8, overlap=0.1)
    )
    assert confirmation_rule.replicates(level, 3) == confirmation_rule.replicates(level, 3, overlap=None)


@pytest.mark.extra
def test_holm_agrees_with_statsmodels():
    rng = np.random.default_rng(3)
    for size in [0, 1, 2, 5, 20] * 4:
        p = rng.uniform(size=size) ** 3
        theirs = multipletests(p, method="holm")[1] if size else []
        np.testing.assert_allclose(multiple_comparisons.holm(p.tolist()), theirs, rtol=1e-9)
    with pytest.raises(UsageError, match=r"p is 1\.5"):
        multiple_comparisons.holm([1.5])


# --- looks ---


def test_levels_never_spend_more_than_alpha():
    for plan, levels in LEVELS.items():
        assert sequential_testing.levels(0.05, plan) == levels
        assert all(level <= 0.05 for level in levels)
        assert sum(levels) >= 0.05  # the dependence between looks is used
    assert sum(sequential_testing.levels(0.01, (3, 5, 10, 20))) == pytest.approx(0.01)
    assert sum(sequential_testing.levels(0.05, (4, 9))) == pytest.approx(0.05)


def test_undeclared_looks_spend_what_is_left():
    spent = [sequential_testing.look(0.05, n, (), list(range(3, n))).alpha for n in range(3, 9)]
    assert spent[0] == pytest.approx(0.04)
    assert sum(sequential_testing.budget(0.05, k) for k in range(60)) == pytest.approx(0.05)
    assert all(later < before for before, later in itertools.pairwise(spent))
    # Reading the same n again is the same look, and keeps its level whatever came after it.
    assert sequential_testing.look(0.05, 3, (), [3, 4, 9]).alpha == spent[0]
    assert sequential_testing.look(0.05, 4, (), [3, 4, 9]).alpha == spent[1]


@pytest.mark.parametrize(("first", "second", "exact"), [(5, 10, 0.0150), (10, 20, 0.0157), (20, 40, 0.0160)])
def test_a_second_look_counts_on_what_it_saw_before(first, second, exact):
    """`exact`: simulated for Student's t; the level is a little below it, where 0.005 were added up before."""
    assert 0.92 * exact < sequential_testing.look(0.05, second, (), [first]).alpha < exact


def test_a_redraw_counts_on_nothing():
    nested, drawn = (sequential_testing.Earlier(10, 0.04, nested) for nested in (True, False))
    assert sequential_testing.next_level(0.05, 10, [drawn]) == pytest.approx(0.009)
    assert sequential_testing.next_level(0.05, 20, [drawn, drawn]) == pytest.approx(0.0009)
    assert (
        sequential_testing.next_level(0.05, 20, [nested]) == sequential_testing.look(0.05, 20, (), [10]).alpha > 0.014
    )
    assert sequential_testing.next_level(0.05, 20, [nested, drawn]) < 0.009
    assert sequential_testing.next_level(0.05, 20, [nested, sequential_testing.Earlier(1, 0.0)]) > 0


def test_a_look_outside_the_plan_is_held_back():
    plan = (3, 5, 10, 20)
    assert sequential_testing.look(0.05, 5, plan, [3]) == sequential_testing.Look(LEVELS[plan][1], "", 2, 4)
    outside = sequential_testing.look(0.05, 7, plan, [3, 5])
    assert "n=7 is not among the declared looks 3, 5, 10, 20" in outside.hold
    assert compare([1, 2, 3.0], [7, 8, 9.0], hold=outside.hold).verdict == "inconclusive"
    # A plan declared after a look without one has only the reserve to spend.
    assert sequential_testing.look(0.05, 20, plan, [4]).alpha <= 0.009


@pytest.mark.parametrize("looks", [(5, 3), (3, 3), (1, 5)])
def test_a_plan_must_rise(looks):
    with pytest.raises(UsageError, match="looks are"):
        sequential_testing.look(0.05, 5, looks)


def test_futility_waits_for_evidence_against_progress():
    better, worse = compare([1.0, 2, 3], [2.0, 3, 4]), compare([2.0, 3, 4], [1.0, 2, 3.1])
    assert not sequential_testing.futile(better, 20, 0.03)
    assert sequential_testing.futile(worse, 20, 0.03)
    assert sequential_testing.chance_of_progress(compare([1.0], [2.0]), 20, 0.03) == 1


# --- factorial ---

KEYS = [(), ("A",), ("B",), ("A", "B")]


def design(rng, shifts, n=5, blocked=False):
    seeds = rng.normal(0, 3, n) if blocked else np.zeros(n)
    return {key: shift + seeds + rng.normal(size=n) for key, shift in zip(KEYS, shifts, strict=True)}


def test_effects_are_contrasts_of_cell_means():
    cells = design(np.random.default_rng(4), [0, 4, -2, 3])
    mean = {key: values.mean() for key, values in cells.items()}
    found = {effect.name: effect for effect in factorial(cells).effects}
    a, b, both, none = mean["A",], mean["B",], mean["A", "B"], mean[()]
    assert found["A"].delta == pytest.approx((a - none + both - b) / 2)
    assert found["A × B"].delta == pytest.approx(both - a - b + none)
    alone = compare(cells[()], cells["A",])
    assert (found["A alone"].p, found["A alone"].ci) == (pytest.approx(alone.p), pytest.approx(alone.ci))
    assert found["B given A"].p == pytest.approx(compare(cells["A",], cells["A", "B"]).p)
    p = [effect.p for effect in found.values()]
    assert [effect.p_holm for effect in found.values()] == pytest.approx(multiple_comparisons.holm(p))


def test_blocks_take_the_seeds_out():
    cells = design(np.random.default_rng(5), [0, 2, 0, 2], blocked=True)
    free, blocked = factorial(cells), factorial(cells, blocked=True)
    per_seed = (cells["A",] - cells[()] + cells["A", "B"] - cells["B",]) / 2
    assert blocked.effects[0].p == pytest.approx(stats.ttest_1samp(per_seed, 0).pvalue)
    assert blocked.effects[0].p < free.effects[0].p


def test_a_gain_that_hides_a_loss_is_said_in_words():
    found = factorial(design(np.random.default_rng(6), [0, 6, -3, 3], n=8))
    assert (found.harmful, found.carried) == (("B",), ())
    assert any("the gain of the whole hides a loss: B harms" in said for said in found.findings)
    turned = factorial(design(np.random.default_rng(6), [0, 6, -3, 3], n=8), "minimize")
    assert turned.harmful == ("A",)


def test_a_part_without_effect_is_named_as_carried_along():
    found = factorial(design(np.random.default_rng(9), [0, 6, 0, 6], n=8), min_effect=2)
    assert (found.harmful, found.carried) == ((), ("B",))
    assert "B is carried along: its effect is below 2" in found.findings[0]


def test_three_factors_have_every_effect():
    rng = np.random.default_rng(8)
    keys = [key for size in range(4) for key in itertools.combinations("ABC", size)]
    found = factorial({key: 4 * ("A" in key) + rng.normal(size=4) for key in keys})
    assert [effect.name for effect in found.effects][:7] == ["A", "B", "C", "A × B", "A × C", "B × C", "A × B × C"]
    assert "C given A+B" in {effect.name for effect in found.effects}
    assert found.harmful == ()


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({(): [1.0, 2], ("A",): [1.0, 2], ("B",): [1.0, 2]}, r"lacks A\+B"),
        ({(): [1.0, 2], ("A",): [1.0, 2]}, "1 factors"),
        ({key: [1.0] for key in KEYS}, "fewer than two runs"),
    ],
)
def test_an_incomplete_design_is_refused(groups, said):
    with pytest.raises(UsageError, match=said):
        factorial(groups)


def test_blocks_of_different_size_are_refused():
    groups = {key: [1.0, 2, 3][: 2 + len(key)] for key in KEYS}
    with pytest.raises(UsageError, match="different size"):
        factorial({**groups, ("A", "B"): [1.0, 2]}, blocked=True)


# --- target ---


def test_the_target_rule_is_a_one_sided_t():
    values = [3.274, 3.277, 3.276, 3.2755, 3.2782]
    theirs = stats.ttest_1samp(values, 3.28, alternative="less").pvalue
    found = reaches(values, 3.28, "minimize")
    assert found.p == pytest.approx(theirs)
    assert theirs < 0.01
    assert found.met
    assert not reaches(values, 3.28, "maximize").met
    assert not reaches([3.2], 3.28, "minimize").met
    assert not reaches(values, 3.28, "minimize", diverged=1).met
