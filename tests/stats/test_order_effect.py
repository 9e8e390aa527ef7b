"""The caution for an order effect: rare where there is none, frequent where neighbours resemble each other."""

import numpy as np
import pytest

from assay.stats.arm_comparison import compare
from assay.stats.serial_correlation import ORDER_ALPHA, SINGLE, excess, unusual

SAID = "runs next to each other are alike"


def warned(baseline, candidate, **more):
    return any(SAID in line for line in compare(baseline, candidate, "maximize", **more).warnings)


def resembling(rng, draws, n, phi):
    """(draws, n) runs, each with `phi` of the one before."""
    x = rng.normal(size=(draws, n + 30))
    for i in range(1, n + 30):
        x[:, i] += phi * x[:, i - 1]
    return x[:, 30:]


def share(rng, arms, phi, draws=2000):
    """How often the caution stands beside a comparison of arms of these sizes."""
    runs = [resembling(rng, draws, n, phi) for n in arms]
    return float(np.mean([unusual([excess(arm[i]) for arm in runs]) for i in range(draws)]))


@pytest.mark.parametrize("arms", [(5, 5), (10, 10), (20,), (5, 30)])
def test_it_keeps_its_level(arms):
    """Three standard errors of 2,000 draws are 0.011."""
    assert share(np.random.default_rng(1), arms, 0.0) <= ORDER_ALPHA + 0.011


@pytest.mark.parametrize(("n", "least"), [(10, 0.27), (20, 0.68), (50, 0.98)])
def test_it_finds_what_errs_a_quarter_of_the_time(n, least):
    assert share(np.random.default_rng(2), (n, n), 0.5, 1000) >= least


def test_all_cautions_together_stay_rare_on_normal_data():
    """Those that the data give rise to, at most one in ten. 500 draws; 2,000 gave 0.067."""
    rng = np.random.default_rng(3)
    said = [
        [line for line in compare(*rng.normal(size=(2, 10)), "maximize").warnings if "cannot rule out" not in line]
        for _ in range(500)
    ]
    assert np.mean([bool(lines) for lines in said]) <= 0.10


def test_a_drift_is_told_whatever_the_test():
    rng = np.random.default_rng(4)
    drift, steady = np.linspace(0, 3, 12) + rng.normal(0, 0.3, 12), rng.normal(0, 0.3, 12)
    for test in ("welch", "student", "permutation"):
        assert warned(steady, drift, test=test)
    assert warned(0.0, drift) and not warned(0.0, steady)
    assert not warned(drift, drift + steady, test="paired"), "what both arms share is gone from their pairs"
    assert warned(steady, steady[::-1] + drift, test="paired")


def test_where_nothing_can_be_said_nothing_is():
    assert not warned([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]), "n = 4"
    assert not warned([1.0] * 9, [1.0] * 9)
    steady = np.random.default_rng(5).normal(size=9)
    assert not warned(steady, [*steady[:5], 9.0, 9.0], diverged_candidate=6, worst=9.0), "worst values stand at the end"


def test_ties_and_scale_change_nothing():
    assert excess(np.array([1.0, 1.0, 2.0, 2.0, 3.0, 3.0])) == excess(np.array([10.0, 10.0, 200.0, 200.0, 3e3, 3e3]))
    assert excess(np.arange(10.0)) == excess(-np.arange(10.0)) > SINGLE > excess(np.array([1.0, 9, 2, 8, 3, 7]))
