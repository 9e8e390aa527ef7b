"""Which part an example is in follows from its content, so that data can grow under a running comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from assay.core.errors import UsageError
from assay.data.storage import Examples
from assay.data.train_test_split import assign
from assay.data.validate_examples import canonical

SHARES = {"validation": 0.2, "test": 0.1}


def test_copies_that_fill_no_part_are_said() -> None:
    raw = {"inputs": np.repeat([[0.0], [1.0]], 50, axis=0), "targets": np.repeat([0, 1], 50), "classes": ["a", "b"]}
    with pytest.raises(
        UsageError, match=r"part would be empty: .* 100 examples with 2 different inputs, and what is al"
    ):
        assign(canonical(raw, "test"), **SHARES)


def digits(rows: np.ndarray) -> Examples:
    bunch = load_digits()
    raw = {
        "inputs": bunch.images[rows].astype(np.uint8),
        "targets": bunch.target[rows],
        "classes": [str(number) for number in range(10)],
    }
    return canonical(raw, "test")


def parts(examples: Examples) -> dict[str, str]:
    return dict(zip(examples.ids.tolist(), assign(examples, **SHARES).tolist(), strict=True))


@pytest.mark.parametrize("growth", range(10))
def test_three_per_cent_more_data_move_at_most_two_per_cent(growth: int) -> None:
    """Digits: 52 held back, at random or, as data do grow, all of one class or in the order of collection."""
    order = np.random.default_rng(growth).permutation(1797)
    if growth == 8:
        order = np.argsort(load_digits().target == 3, kind="stable")
    if growth == 9:
        order = np.arange(1797)
    before, after = parts(digits(order[:-52])), parts(digits(order))
    moved = [name for name, part in before.items() if after[name] != part]
    assert len(moved) <= 0.02 * len(before)
    assert not [
        name for name in moved if "test" in (before[name], after[name]) and "train" in (before[name], after[name])
    ]


def test_shares_and_strata() -> None:
    everything = digits(np.arange(1797))
    found = assign(everything, **SHARES)
    for part, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        assert np.mean(found == part) == pytest.approx(share, abs=0.02)
        for label in range(10):
            assert np.mean(found[everything.targets == label] == part) == pytest.approx(share, abs=0.08)


@dataclass(frozen=True)
class Row:
    """One example: what it shows, what it is called, whom it belongs to."""

    picture: int
    label: int
    group: int


rows = st.builds(Row, st.integers(0, 400), st.integers(0, 2), st.integers(0, 60))
deliveries = st.lists(st.lists(rows, min_size=1, max_size=40), min_size=1, max_size=5)


def examples(found: list[Row], grouped: bool) -> Examples:
    raw = {
        "inputs": np.array([[row.picture, -row.picture] for row in found], dtype=np.int32),
        "targets": np.array([row.label for row in found]),
        "classes": ["a", "b", "c"],
    }
    return canonical(raw | ({"groups": [row.group for row in found]} if grouped else {}), "test")


@settings(max_examples=60, deadline=None)
@given(deliveries, st.booleans())
def test_however_data_grow_nothing_tested_ever_trains(more: list[list[Row]], grouped: bool) -> None:
    """And in every state, copies of an input and members of a group are in one part."""
    found = [Row(1000 + number, number % 3, 1000 + number // 2) for number in range(90)]
    tested: set[str] = set()
    for delivery in [[], *more]:
        found = found + delivery
        data = examples(found, grouped)
        where = assign(data, **SHARES)
        tested |= set(data.ids[where == "test"])
        assert not tested & set(data.ids[where == "train"])
        homes: dict[tuple[str, int], set[str]] = {}
        for row, part in zip(found, where, strict=True):
            homes.setdefault(("picture", row.picture), set()).add(str(part))
            if grouped:
                homes.setdefault(("group", row.group), set()).add(str(part))
        assert all(len(home) == 1 for home in homes.values())


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, max_size=60), st.randoms(use_true_random=False), st.booleans())
def test_order_does_not_matter(more: list[Row], chance: object, grouped: bool) -> None:
    found = [Row(1000 + number, number % 3, 1000 + number // 2) for number in range(90)] + more
    shuffled = sorted(found, key=lambda _: chance.random())  # type: ignore[attr-defined]
    one, other = examples(found, grouped), examples(shuffled, grouped)
    seen = [
        {(row, str(part)) for row, part in zip(listed, assign(data, **SHARES), strict=True)}
        for listed, data in ((found, one), (shuffled, other))
    ]
    assert seen[0] == seen[1]
