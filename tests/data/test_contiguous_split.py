"""Contiguous parts: the future is tested and nothing of it trains, gaps, blocks, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core import params_yaml
from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.data import contiguous_split as contiguous
from assay.data.storage import Examples
from assay.data.validate_examples import canonical


def examples(count: int = 100, **more: object) -> Examples:
    return canonical({"inputs": np.arange(count)[:, None], "targets": np.zeros(count), **more}, "data.py")


@given(
    times=st.lists(st.integers(0, 60), min_size=30, max_size=120),
    gap=st.integers(0, 5),
    shares=st.sampled_from([(0.2, 0.1), (0.3, 0.3), (0.1, 0.25)]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_trains_lies_a_gap_before_what_is_judged(times: list, gap: int, shares: tuple) -> None:
    found = examples(len(times), order=times)
    try:
        parts = contiguous.assign(found, Split(validation=shares[0], test=shares[1], gap=gap), "time")
    except UsageError as error:
        assert "would be empty" in str(error)
        return
    places = np.array(times)
    train, validation, test = (places[parts == name] for name in ("train", "validation", "test"))
    assert train.max() <= validation.min() - gap and validation.max() <= test.min() - gap
    if gap == 0:  # equal times lie together, and nothing is lost
        assert train.max() < validation.min() and validation.max() < test.min() and (parts != "").all()


def test_shares_and_dates() -> None:
    start = datetime(2024, 1, 1)
    days = [start + timedelta(days=int(day)) for day in np.random.default_rng(0).permutation(100)]
    found = examples(order=days)
    assert contiguous.way(found, Split()) == "time" and contiguous.way(examples(), Split()) == "content"
    assert contiguous.way(found, Split(by="content")) == "content"
    parts = contiguous.assign(found, Split(), "time")
    assert [int((parts == name).sum()) for name in ("train", "validation", "test")] == [70, 20, 10]
    assert max(day for day, part in zip(days, parts, strict=True) if part == "train") == start + timedelta(days=69)
    week = contiguous.assign(found, Split(gap=7 * 86400), "time")
    assert (week == "").sum() == 12 and (week == "train").sum() == 64
    assert contiguous.assign(examples(), Split(gap=3), "order").tolist().count("") == 6


def test_blocks_are_contiguous_and_stand_apart() -> None:
    parts = contiguous.assign(examples(200), Split(blocks=20, gap=2), "order")
    blocks = parts.reshape(20, 10)
    assert all(len(set(block) - {""}) == 1 for block in blocks)
    assert (parts == "test").sum() == 20 and (parts == "validation").sum() >= 32
    for row in np.flatnonzero(parts == "test"):
        near = parts[max(0, row - 2) : row + 3]
        assert set(near) <= {"test", ""}
    assert (contiguous.assign(examples(200), Split(blocks=20), "order") != "").all()


@pytest.mark.parametrize(
    ("more", "split", "by", "said"),
    [
        ({}, {}, "time", "prepare() gave no time"),
        ({"order": np.arange(100)}, {"blocks": 10}, "time", "blocks of the future would train"),
        ({}, {"blocks": 2}, "order", "split.blocks is 2; allowed: 3 to 100"),
        ({}, {"gap": 30}, "order", "the validation part would be empty"),
        ({"groups": np.arange(100) // 40}, {}, "order", "cuts the group '1' (2 such of 3)"),
        ({"order": np.zeros(100)}, {}, "time", "the train part would be empty"),
    ],
)
def test_what_is_refused(more: dict, split: dict, by: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        contiguous.assign(examples(**more), Split(**split), by)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (np.array(["2024-01-01"] * 99 + ["NaT"], dtype="datetime64[D]"), "order of example 99 is missing"),
        (["soon"] * 100, "order is <U4"),
        (np.arange(7), "shape (7,); allowed: 100 numbers or dates"),
    ],
)
def test_an_order_that_is_none_is_refused(order: object, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        examples(order=order)
    assert said in str(caught.value)


def test_keys_of_the_split_are_off_by_default_and_checked() -> None:
    text = "lr: 0.1\nreplicates: 2\nseed: 1\ntask: {name: t}\nmetric: {name: m}\n"
    plain = params_yaml.load(text)
    assert params_yaml.strategy(plain)["split"] == {"validation": 0.2, "test": 0.1}
    asked = params_yaml.load(text + "split: {by: time, gap: 2}\n")
    assert params_yaml.strategy(asked)["split"] == {"validation": 0.2, "test": 0.1, "by": "time", "gap": 2}
    with pytest.raises(UsageError, match=r"split\.by is 'week'; allowed: content, order, time"):
        params_yaml.load(text + "split: {by: week}\n")
    with pytest.raises(UsageError, match=r"split\.blocks is 0; allowed: a whole number >= 1"):
        params_yaml.load(text + "split: {blocks: 0}\n")
