"""`assay fidelity`'s statistics: pairs, ties, thin data, and that intervals hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.stats import profile_fidelity, true_mean_correlation
from assay.stats.profile_fidelity import MEASURED, TOO_FEW, ProfilePair, fidelity

CHANCE = np.random.default_rng(20261130)


def drawn(count: int, correlation: float, spread: float = 3.0, n: tuple[int, int] = (5, 3)) -> list[ProfilePair]:
    true = CHANCE.standard_normal((count, 2))
    true[:, 1] = correlation * true[:, 0] + math.sqrt(1 - correlation**2) * true[:, 1]
    return [
        ProfilePair(
            (spread * a + CHANCE.standard_normal(n[0])).tolist(), (spread * b + CHANCE.standard_normal(n[1])).tolist()
        )
        for a, b in true
    ]


def test_only_pairs_that_full_separates_count_and_a_tie_is_a_half() -> None:
    settings = [
        ProfilePair([1.0, 1.1, 1.05], [5.0, 5.1]),
        ProfilePair([1.02, 1.08, 1.04], [9.0, 9.1]),  # not separated from the first
        ProfilePair([3.0, 3.1, 3.05], [9.0, 9.1]),  # ties with the second under fast
        ProfilePair([5.0, 5.1, 5.05], [1.0, 1.1]),  # the best of full is the worst of fast
    ]
    found = fidelity(settings)
    assert (found.pairs, found.separated, found.alike) == (6, 5, 1.5) and found.share == 0.3
    assert found.word == TOO_FEW


def test_without_spread_values_differ_or_not() -> None:
    settings = [ProfilePair([x, x], [x, x]) for x in (0.1, 0.2, 0.2, 0.3, 0.4)]
    found = fidelity(settings)
    assert (found.separated, found.share) == (9, 1.0) and found.correlation is not None


def test_nothing_is_separated_and_nothing_is_certified() -> None:
    found = fidelity(drawn(8, 0.9, spread=0.0))
    assert found.word == TOO_FEW and (found.share is None or found.share_ci == (0.0, 1.0))
    same = fidelity([ProfilePair([0.5, 0.5], [0.5, 0.5])] * 6)
    assert (same.share, same.correlation, same.dropped, same.word) == (None, None, None, TOO_FEW)


def test_more_settings_narrow_it_and_the_same_data_give_the_same_answer() -> None:
    many = drawn(30, 0.97)
    found = fidelity(many)
    assert found.word == MEASURED and found.share is not None and found.share > 0.85
    assert found.correlation is not None and found.correlation > 0.8 and found.dropped is not None
    assert found.dropped_ci[0] <= found.dropped <= found.dropped_ci[1]
    assert fidelity(many) == found and fidelity(many[:5]).word == TOO_FEW


@pytest.mark.parametrize(
    "settings",
    [[], [ProfilePair([1, 2], [1, 2])], [ProfilePair([1], [1, 2])] * 3, [ProfilePair([1, math.nan], [1, 2])] * 3],
)
def test_refusals(settings: list[ProfilePair]) -> None:
    with pytest.raises(UsageError):
        fidelity(settings)


def test_the_share_is_held() -> None:
    """At a correlation of 0 half of all separated pairs are ordered alike."""
    held = 0
    for _ in range(150):
        low, high = profile_fidelity.share_interval(profile_fidelity.agreement(drawn(12, 0.0)), 0.05)
        held += low <= 0.5 <= high
    assert held >= 0.93 * 150


@pytest.mark.extra
def test_the_correlation_is_held() -> None:
    held = 0
    for _ in range(80):
        settings = drawn(12, 0.6)
        fit = true_mean_correlation.fit([one.full for one in settings], [one.fast for one in settings], 0.05)
        held += fit is not None and fit.ci[0] <= 0.6 <= fit.ci[1]
    assert held >= 0.93 * 80 - 3 * math.sqrt(80 * 0.05 * 0.95)


def test_noise_makes_a_plain_correlation_too_small() -> None:
    settings = drawn(60, 0.95, spread=1.0, n=(3, 3))
    fit = true_mean_correlation.fit([one.full for one in settings], [one.fast for one in settings], 0.05)
    plain = np.corrcoef([np.mean(one.full) for one in settings], [np.mean(one.fast) for one in settings])[0, 1]
    assert fit is not None and fit.correlation > plain + 0.05 and fit.ci[0] <= 0.95 <= fit.ci[1]
