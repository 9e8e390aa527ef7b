"""A batch size with its learning rate beside it: a wrong rate is no effect of the batch; errors stay below alpha."""

from __future__ import annotations

import numpy as np

from assay.report import sensitivity_text
from assay.stats.compare_arms import MeasuredArm
from assay.stats.learning_rate_as_nuisance import PairedRule, best_of_rates, rates
from assay.stats.one_factor import MATTERS, UNSHOWN, one_factor

RULE = PairedRule("maximize", 0.05, 0.005, None, True)
CENTRE = (0.002, 0.0028, 0.004, 0.0057, 0.008)


def arm(mean: float, rng: np.random.Generator, seeds: np.ndarray, diverged: bool = False) -> MeasuredArm:
    values = (mean + seeds + 0.01 * rng.standard_normal(len(seeds))).tolist()
    return MeasuredArm([(n, None if diverged and n == 0 else value) for n, value in enumerate(values)])


def grid(best: float, at: tuple[float, ...], height: float, rng: np.random.Generator, seeds: np.ndarray) -> dict:
    """Responses that fall off from `best` on both sides."""
    return {rate: arm(height - 0.1 * abs(np.log2(rate / best)), rng, seeds) for rate in at}


def test_rates_that_theory_expects() -> None:
    assert rates(0.004, 2) == [0.004, 0.0057, 0.008] and rates(0.004, 0.25) == [0.004, 0.002, 0.001]
    assert rates(0.00312345, 4)[0] == 0.00312345 and rates(0.004, 1) == [0.004]


def test_a_wrong_rate_is_no_effect_of_the_batch_size() -> None:
    rng = np.random.default_rng(1)
    seeds = 0.05 * rng.standard_normal(8)
    centre, larger = grid(0.004, CENTRE, 0.9, rng, seeds), grid(0.008, (0.004, 0.0057, 0.008), 0.9, rng, seeds)
    plain = {("train.batch_size", 128): larger[0.004]}
    common = {"alpha": 0.05, "min_effect": 0.005, "worst": None, "distinct": True}
    fixed = one_factor(centre[0.004], plain, {"train.batch_size": 64}, "maximize", **common)
    assert fixed[0].word == MATTERS, "at the rate of the smaller batch it looks like a loss"
    beside = {("train.batch_size", 128): best_of_rates(centre, larger, RULE)}
    found = one_factor(centre[0.004], plain, {"train.batch_size": 64}, "maximize", **common, beside=beside)
    assert found[0].word == UNSHOWN and found[0].levels[0].beside == "lr 0.004 → 0.008"
    said = sensitivity_text.text(found, "accuracy", 8, 0.05, 0.005, {})
    assert "64 → 128 (lr 0.004 → 0.008)" in said and "with lr beside it: " in said
    better = {
        ("train.batch_size", 128): best_of_rates(centre, grid(0.008, (0.004, 0.0057, 0.008), 1.0, rng, seeds), RULE)
    }
    assert (
        one_factor(centre[0.004], plain, {"train.batch_size": 64}, "maximize", **common, beside=better)[0].word
        == MATTERS
    )


def test_both_directions_and_diverged_rates() -> None:
    rng = np.random.default_rng(2)
    seeds = 0.05 * rng.standard_normal(8)
    centre = grid(0.004, CENTRE, 0.9, rng, seeds)
    worse = best_of_rates(centre, grid(0.004, (0.004, 0.0057), 0.7, rng, seeds), RULE)
    assert worse is not None and worse.p < 0.01 and not worse.better
    lower = best_of_rates(
        centre, grid(0.004, (0.004, 0.0057), 0.7, rng, seeds), PairedRule("minimize", 0.05, 0, None, True)
    )
    assert lower is not None and lower.better
    broken = {0.004: arm(0.9, rng, seeds, diverged=True)}
    assert best_of_rates(centre, broken, RULE) is None, "without a worst value nothing is known of it"
    named = best_of_rates(centre, broken, PairedRule("maximize", 0.05, 0, 0.0, True))
    assert named is not None and named.p > 0.05


def test_false_claims_stay_below_alpha() -> None:
    false = 0
    for stream in range(20):
        rng = np.random.default_rng([3, stream])
        seeds = 0.05 * rng.standard_normal(6)
        one = {rate: arm(0.9, rng, seeds) for rate in CENTRE[:3]}  # all rates alike: the most that luck can choose from
        other = {rate: arm(0.9, rng, seeds) for rate in CENTRE[:3]}
        found = best_of_rates(one, other, RULE)
        false += found is not None and found.p <= 0.05
    assert false <= 0.05 * 20
