"""Luck's number of fixed and broken examples, against simulation of two groups of one strategy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from assay.stats import expected_case_changes
from assay.stats.expected_case_changes import CaseRange, expected

EXAMPLES = 100_000


def compared(
    chances: np.ndarray, baseline_n: int, candidate_n: int, seed: int
) -> tuple[CaseRange, int, CaseRange, int]:
    """What is expected of two groups, and what came, for fixed and for broken; a tie is wrong."""
    chance = np.random.default_rng(seed)
    before, after = chance.binomial(baseline_n, chances), chance.binomial(candidate_n, chances)
    found = expected(before, baseline_n, candidate_n)
    assert found is not None
    then, now = 2 * before > baseline_n, 2 * after > candidate_n
    return found.fixed, int((now & ~then).sum()), found.broken, int((then & ~now).sum())


@pytest.mark.parametrize("sizes", [(3, 3), (4, 4), (20, 20), (10, 20)], ids=str)
@pytest.mark.parametrize("accuracy", [0.8, 0.9, 0.97])
def test_it_is_within_a_tenth_of_simulation(sizes: tuple[int, int], accuracy: float) -> None:
    """Even sizes have ties, unequal ones break what they do not fix."""
    chances = np.random.default_rng(7).beta(accuracy, 1 - accuracy, EXAMPLES)
    fixed, found_fixed, broken, found_broken = compared(chances, *sizes, seed=3)
    assert found_fixed == pytest.approx(fixed.expected, rel=0.1)
    assert found_broken == pytest.approx(broken.expected, rel=0.1)
    assert fixed.low < fixed.expected < fixed.high and broken.low < broken.expected < broken.high


def test_where_most_examples_are_sure_the_fit_is_wrong_and_the_number_near() -> None:
    """Nine of ten examples are always right or always wrong, the rest anything: no beta distribution."""
    chance = np.random.default_rng(1)
    sure = chance.random(EXAMPLES) < 0.9
    chances = np.where(sure, chance.random(EXAMPLES) < 0.9, chance.random(EXAMPLES)).astype(float)
    fixed, found_fixed, broken, found_broken = compared(chances, 10, 10, seed=5)
    assert (found_fixed + found_broken) / (fixed.expected + broken.expected) == pytest.approx(1, abs=0.25)


@pytest.mark.extra
@pytest.mark.parametrize("accuracy", [0.8, 0.9, 0.97])
@pytest.mark.parametrize("sizes", [(3, 3), (5, 5), (10, 10), (20, 20), (10, 20)], ids=str)
def test_the_range_holds_nine_in_ten(sizes: tuple[int, int], accuracy: float) -> None:
    """360 examples, as the digits have; chances of three shapes, one of them no beta distribution."""
    chance = np.random.default_rng(11)
    centre = special.logit(accuracy) * 1.3
    shapes = (
        lambda: chance.beta(accuracy, 1 - accuracy, 360),
        lambda: chance.beta(5 * accuracy, 5 * (1 - accuracy), 360),
        lambda: special.expit(chance.normal(centre, 1.5, 360)),
    )
    inside, ratio = [], []
    for seed in range(120):
        fixed, found_fixed, broken, found_broken = compared(shapes[seed % 3](), *sizes, seed=1000 + seed)
        inside += [fixed.low <= found_fixed <= fixed.high, broken.low <= found_broken <= broken.high]
        ratio.append((found_fixed + found_broken, fixed.expected + broken.expected))
    assert np.mean(inside) > 0.87
    found, said = np.sum(ratio, axis=0)
    assert said == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("other", [3, 4, 20])
def test_chances_of_another_side_are_exact(other: int) -> None:
    """A tie is wrong in either group: a simulation to 10 % does not tell, as what it adds and takes is nearly even."""
    a, b, n = 1.3, 0.4, 4
    for count in range(n + 1):
        wrong = stats.betabinom.cdf(other // 2, other, a + count, b + n - count)
        found = expected_case_changes._changes(np.bincount([count], minlength=n + 1), a, b, other)
        assert found == pytest.approx(wrong if 2 * count > n else 1 - wrong)

    def both(chance: float) -> float:
        wrong_then, right_now = stats.binom.cdf(n // 2, n, chance), stats.binom.sf(other // 2, other, chance)
        return float(wrong_then * right_now)

    expectation = stats.beta(a, b).expect(both)
    assert expected_case_changes._change(a, b, wrong=n, right=other) == pytest.approx(expectation, rel=1e-4)


def test_below_three_replicates_nothing_is_known() -> None:
    assert expected(np.array([2, 1]), 2, 5) is None and expected(np.array([3, 1]), 3, 2) is None
    assert expected(np.array([], dtype=int), 5, 5) is None


@pytest.mark.parametrize("count", [0, 5])
def test_where_seeds_never_disagree_luck_changes_nothing(count: int) -> None:
    found = expected(np.full(100, count), 5, 5)
    assert found is not None and found.fixed.expected < 0.5 and found.fixed[1:] == found.broken[1:] == (0, 0)


def test_the_same_counts_give_the_same_numbers() -> None:
    counts = np.random.default_rng(0).binomial(10, 0.9, 360)
    assert expected(counts, 10, 10) == expected(counts[::-1].copy(), 10, 10)
