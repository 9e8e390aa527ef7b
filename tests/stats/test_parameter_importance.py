"""Importance of parameters: the first named, inert ones left alone, thin and odd data; draws from ranges."""

from __future__ import annotations

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.stats import quasi_random_settings
from assay.stats.parameter_importance import importance
from assay.stats.quasi_random_settings import ValueRange

RANGES = [ValueRange(f"p{place}", 0.0, 1.0) for place in range(4)]


def drawn(seed: int = 0, count: int = 64) -> dict[str, list[float]]:
    made = quasi_random_settings.settings(RANGES, count, seed)
    return {one.key: [float(setting[one.key]) for setting in made] for one in RANGES}  # type: ignore[arg-type]


def test_the_first_is_named_and_what_failed_ranks_last() -> None:
    units, rng = drawn(), np.random.default_rng(1)
    pairs = zip(units["p0"], units["p1"], strict=True)
    response: list[float | None] = [3 * a - (b - 0.5) ** 2 + 0.1 * rng.standard_normal() for a, b in pairs]
    for place in np.argsort(units["p0"])[:5]:
        response[int(place)] = None  # fails where p0 is small, which is bad anyway
    found = importance(units, {}, response)
    first = found.parameters[0]
    assert first.key == "p0" and first.matters and first.share > 0.7 and first.ci[0] <= first.share <= first.ci[1]
    assert [one.key for one in found.parameters if one.matters] == ["p0"] and 0.05 < found.line < 0.3
    assert importance(units, {}, response) == found, "the same data give the same answer"


def test_only_ranks_count() -> None:
    units = drawn()
    plain = importance(units, {}, units["p2"])
    assert importance(units, {}, [-1e9 if x < 0.5 else np.exp(9 * x) for x in units["p2"]]).parameters[0].key == "p2"
    assert importance(units, {}, [np.exp(9 * x) for x in units["p2"]]) == plain


def test_words_and_parameters_without_spread() -> None:
    units, words = drawn(), [("adam", "sgd", "adamw")[place % 3] for place in range(64)]
    rng = np.random.default_rng(2)
    response = [2.0 * (word == "sgd") + 0.3 * rng.standard_normal() for word in words]
    found = importance({**units, "same": [0.5] * 64}, {"optimizer": words, "one": ["x"] * 64}, response)
    assert found.parameters[0].key == "optimizer" and found.parameters[0].share > 0.5
    assert {one.key for one in found.parameters} == {"p0", "p1", "p2", "p3", "optimizer"}


@pytest.mark.extra
def test_inert_parameters_are_called_sensitive_by_chance_alone() -> None:
    called = 0
    for seed in range(40):
        noise = np.random.default_rng([7, seed]).standard_normal(64)
        called += importance(drawn(seed), {}, noise.tolist(), seed=seed).parameters[0].matters
    assert called <= 0.05 * 40 + 3 * np.sqrt(40 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ([0.1 * place for place in range(49)], "importance from 49 settings; allowed: 50"),
        ([0.5] * 64, "no spread"),
        ([None] * 64, "no spread"),
    ],
)
def test_refusals(response: list[float | None], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        importance({}, {}, response)


def test_settings_of_ranges() -> None:
    ranges = [
        ValueRange("lr", 1e-4, 1e-1),
        ValueRange("layers", 1, 4, whole=True),
        ValueRange("dropout", 0.0, 0.5),
        ValueRange("optimizer", words=("adam", "sgd")),
    ]
    made = quasi_random_settings.settings(ranges, 64, seed=1)
    assert len(made) == 64 and made == quasi_random_settings.settings(ranges, 64, seed=1)
    assert made != quasi_random_settings.settings(ranges, 64, seed=2)
    rates = [float(one["lr"]) for one in made]  # type: ignore[arg-type]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates) and abs(sum(rate < 10**-2.5 for rate in rates) - 32) <= 1
    assert {one["layers"] for one in made} == {1, 2, 3, 4} and {one["optimizer"] for one in made} == {"adam", "sgd"}
    assert [ranges[0].unit(rate) for rate in (1e-4, 1e-1)] == [0.0, 1.0] and 0.49 < ranges[0].unit(10**-2.5) < 0.51
    assert ranges[2].unit(0.25) == 0.5 and ValueRange("x", 1.0, 1.0).unit(1.0) == 0.5
    few = quasi_random_settings.settings([ValueRange("layers", 1, 4, whole=True)], 64, seed=1)
    assert sorted(int(one["layers"]) for one in few) == [1, 2, 3, 4]  # type: ignore[call-overload]
