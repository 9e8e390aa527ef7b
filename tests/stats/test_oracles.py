"""Against scipy and statsmodels: the same numbers from other hands, to 1e-9 relative."""

import itertools
from functools import partial

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import ttost_ind

from assay import compare
from assay.stats import cautions, diverged_runs_test, statistical_power, verdict_rule

CLOSE = {"rtol": 1e-9, "atol": 0}


def cases(count=1000):
    rng = np.random.default_rng(1)
    for _ in range(count):
        n_b, n_c = rng.choice([2, 3, 4, 5, 8, 10, 20, 30], 2)
        scale, offset = 10.0 ** rng.uniform(-3, 3), rng.normal(0, 5)
        spread_b, spread_c = scale * rng.uniform(0.2, 5, 2)
        yield rng.normal(offset, spread_b, n_b), rng.normal(offset + scale * rng.normal(), spread_c, n_c), scale


@pytest.mark.parametrize(("test", "equal"), [("welch", False), ("student", True)])
def test_two_arms_agree_with_scipy(test, equal):
    for baseline, candidate, _ in cases():
        ours = compare(baseline, candidate, test=test)
        theirs = stats.ttest_ind(candidate, baseline, equal_var=equal)
        interval = theirs.confidence_interval(0.95)
        np.testing.assert_allclose([ours.p, ours.df], [theirs.pvalue, theirs.df], **CLOSE)
        # A difference of two near numbers has lost digits in either program: relative to the interval's width.
        np.testing.assert_allclose(ours.ci, interval, rtol=1e-9, atol=1e-9 * (interval.high - interval.low))
        assert (ours.delta > 0) == (theirs.statistic > 0)


def test_one_sample_and_paired_agree_with_scipy():
    for baseline, candidate, scale in cases():
        ours, theirs = compare(scale, candidate), stats.ttest_1samp(candidate, scale)
        np.testing.assert_allclose([ours.p, ours.df], [theirs.pvalue, theirs.df], **CLOSE)
        n = min(len(baseline), len(candidate))
        ours, theirs = compare(baseline[:n], candidate[:n], paired=True), stats.ttest_rel(candidate[:n], baseline[:n])
        np.testing.assert_allclose([ours.p, ours.df], [theirs.pvalue, theirs.df], **CLOSE)
        np.testing.assert_allclose(ours.correlation, np.corrcoef(baseline[:n], candidate[:n])[0, 1], rtol=1e-9)


def test_equivalence_is_two_one_sided_tests_at_half_alpha():
    met = 0
    for baseline, candidate, scale in cases():
        p, _, _ = ttost_ind(candidate, baseline, -scale, scale, usevar="unequal")
        equivalent = verdict_rule.verdict(*compare(baseline, candidate).ci, "maximize", scale) == "equivalent"
        assert equivalent == (p < 0.025)
        met += equivalent
    assert met > 5


def test_power_agrees_with_statsmodels():
    rng = np.random.default_rng(2)
    compared = 0
    for _ in range(1000):
        n_b, n_c = (int(n) for n in rng.integers(2, 60, 2))
        effect, alpha = rng.uniform(0.1, 3), rng.choice([0.05, 0.01])
        ours = [
            statistical_power.student_power(effect, 1.0, n_b, n_c, alpha),
            statistical_power.one_sample_power(effect, 1.0, n_b, alpha),
        ]
        theirs = [TTestIndPower().power(effect, n_b, alpha, n_c / n_b), TTestPower().power(effect, n_b, alpha)]
        for our, their in zip(ours, theirs, strict=True):
            if np.isnan(their):  # statsmodels gives up where power is nearly 1
                assert our > 0.99
            else:
                np.testing.assert_allclose(our, their, **CLOSE)
                compared += 1
    assert compared > 1000


def test_welch_power_agrees_with_simulation_within_half_a_point():
    rng = np.random.default_rng(3)
    draws = 100_000  # standard error at most 0.16 points
    for effect, sd_b, sd_c, n_b, n_c in [(2, 1, 1, 2, 2), (3, 1, 2, 3, 3), (2, 1, 3, 3, 20), (2, 2, 1, 5, 4)]:
        baseline, candidate = rng.normal(0, sd_b, (n_b, draws)), rng.normal(effect, sd_c, (n_c, draws))
        simulated = np.mean(stats.ttest_ind(candidate, baseline, equal_var=False).pvalue < 0.05)
        assert abs(statistical_power.welch_power(effect, sd_b, sd_c, n_b, n_c, 0.05) - simulated) < 0.005


def test_the_n_needed_is_the_first_with_enough_power():
    rng = np.random.default_rng(4)
    for _ in range(60):
        baseline, candidate = rng.normal(0, rng.uniform(0.5, 3), 5), rng.normal(0, rng.uniform(0.5, 3), 6)
        smallest = rng.uniform(0.7, 6)
        sd_b, sd_c = np.std(baseline, ddof=1), np.std(candidate, ddof=1)
        pooled = np.sqrt((4 * sd_b**2 + 5 * sd_c**2) / 9)
        welch = (
            n for n in itertools.count(2) if statistical_power.welch_power(smallest, sd_b, sd_c, n, n, 0.05) >= 0.8
        )
        # at the level that the guard against unequal spreads leaves
        level, their = partial(statistical_power.student_level, alpha=0.05), TTestIndPower()
        student = (n for n in itertools.count(2) if their.power(smallest / pooled, n, level(n, n), 1) >= 0.8)
        assert compare(baseline, candidate, min_effect=smallest).n_needed == next(welch)
        assert compare(baseline, candidate, min_effect=smallest, test="student").n_needed == next(student)


def test_the_detectable_effect_has_the_power_it_promises():
    for baseline, candidate, _ in itertools.islice(cases(), 50):
        ours = compare(baseline, candidate)
        sds, ns = (ours.baseline.sd, ours.candidate.sd), (ours.baseline.n, ours.candidate.n)
        assert statistical_power.welch_power(ours.min_detectable_effect, *sds, *ns, 0.05) == pytest.approx(
            0.8, abs=1e-5
        )


def test_fisher_agrees_with_scipy():
    rng = np.random.default_rng(5)
    for _ in range(300):
        n_b, n_c = (int(n) for n in rng.integers(1, 25, 2))
        k_b, k_c = int(rng.integers(0, n_b + 1)), int(rng.integers(0, n_c + 1))
        theirs = stats.fisher_exact([[k_b, n_b - k_b], [k_c, n_c - k_c]]).pvalue
        np.testing.assert_allclose(diverged_runs_test.fisher(k_b, n_b, k_c, n_c), theirs, rtol=1e-9)


def test_skew_and_spread_agree_with_scipy():
    rng = np.random.default_rng(6)
    for _ in range(300):
        values = rng.lognormal(size=rng.integers(8, 50))
        np.testing.assert_allclose(cautions.skew_p(values), stats.skewtest(values).pvalue, rtol=1e-9)
        ratio, df_b, df_c = rng.uniform(0.2, 5), *(int(n) for n in rng.integers(1, 30, 2))
        theirs = 2 * min(stats.f.cdf(ratio, df_b, df_c), stats.f.sf(ratio, df_b, df_c))
        np.testing.assert_allclose(cautions.f_p(ratio, df_b, df_c), theirs, rtol=1e-7)


def test_permutation_agrees_with_scipy():
    rng = np.random.default_rng(7)
    for n_b, n_c in [(4, 4), (5, 5), (3, 6), (6, 4)]:
        baseline, candidate = np.round(rng.normal(0, 1, n_b), 1), np.round(rng.normal(1, 1, n_c), 1)
        theirs = stats.permutation_test(
            (candidate, baseline), lambda a, b: np.mean(a) - np.mean(b), n_resamples=np.inf, vectorized=False
        )
        np.testing.assert_allclose(compare(baseline, candidate, test="permutation").p, theirs.pvalue, rtol=1e-9)


def test_the_permutation_interval_holds_the_shifts_that_the_test_does_not_reject():
    rng = np.random.default_rng(8)
    for _ in range(20):
        baseline, candidate = rng.normal(0, 1, 5), rng.normal(0.5, 1, 5)
        low, high = compare(baseline, candidate, test="permutation").ci
        for shift, rejected in [(low - 1e-6, True), (low + 1e-6, False), (high - 1e-6, False), (high + 1e-6, True)]:
            assert (compare(baseline, candidate - shift, test="permutation").p <= 0.05) == rejected
