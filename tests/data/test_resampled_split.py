"""Splits drawn anew: what stays together, what each class keeps, and that nothing of the future trains."""

from __future__ import annotations

import numpy as np
import pytest

from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.data import contiguous_split, resampled_split, storage
from assay.data.resampled_split import JoinedParts
from assay.data.storage import Examples

ASKED = Split(validation=0.2, test=0.1)


def examples(count: int, groups: np.ndarray | None = None, order: np.ndarray | None = None) -> Examples:
    rng = np.random.default_rng(0)
    return Examples(
        ids=np.array([f"{number:032x}" for number in range(count)]),
        inputs=rng.normal(size=(count, 3)),
        targets=(np.arange(count) % 5 == 0).astype(np.int64),  # one class in five
        groups=groups,
        classes=("often", "rare"),
        notes={} if order is None else {"order": order.astype(np.float64)},
    )


def joined(found: Examples, asked: Split = ASKED, places: tuple[np.ndarray, int] | None = None) -> JoinedParts:
    return JoinedParts(found, storage.input_keys(found), round(len(found) * 2 / 9), asked, places)


def test_each_class_keeps_its_share_and_sizes_are_the_same() -> None:
    both = joined(examples(450))
    drawn = [resampled_split.draw(both, f"salt {number} ") for number in range(20)]
    for one in drawn:
        assert not (one.train & one.validation).any() and (one.train | one.validation).all()
        assert one.validation.sum() == 100 and both.examples.targets[one.validation].sum() == 20
    chosen = np.mean([one.validation for one in drawn], axis=0)
    assert chosen.max() < 0.8, "another split each time"
    again = resampled_split.draw(both, "salt 3 ")
    assert (again.validation == drawn[3].validation).all()


def test_groups_and_copies_stay_whole() -> None:
    names = np.repeat(np.arange(30), 10).astype(str)
    found = examples(300, groups=names)
    found.inputs[5] = found.inputs[295]  # a copy joins two groups
    for number in range(10):
        one = resampled_split.draw(joined(found), f"salt {number} ")
        assert not {*names[one.train]} & {*names[one.validation]}
        assert one.validation[5] == one.validation[295]


@pytest.mark.parametrize("by", ["time", "order"])
def test_nothing_that_comes_later_trains(by: str) -> None:
    order = np.random.default_rng(1).permutation(180) // 2  # two at a time
    found = examples(180, order=order) if by == "time" else examples(180)
    places = order if by == "time" else np.arange(180)
    starts = set()
    for number in range(20):
        one = resampled_split.draw(joined(found, Split(validation=0.2, test=0.1, by=by, gap=4)), f"salt {number} ")
        first = places[one.validation].min()
        assert places[one.train].max() <= first - 4 - (by == "order") and one.train.sum() > 70
        assert one.validation.sum() == 40
        starts.add(first)
    assert len(starts) > 5, "the window moves"


def test_a_border_cuts_no_group() -> None:
    names = (np.arange(180) // 7).astype(str)
    for number in range(10):
        one = resampled_split.draw(joined(examples(180, groups=names), Split(by="order")), f"salt {number} ")
        assert not {*names[one.train]} & {*names[one.validation]}


def test_other_blocks_and_the_tested_ones_stay() -> None:
    asked = Split(validation=0.2, test=0.2, by="order", blocks=20, gap=2)
    found = examples(400)
    parts = contiguous_split.assign(found, asked, "order")
    rows = np.flatnonzero(np.isin(parts, ["train", "validation"]))
    both = joined(found.take(rows), asked, (rows, 400))
    tested = np.flatnonzero(parts == "test")
    seen = set()
    for number in range(10):
        one = resampled_split.draw(both, f"salt {number} ")
        judged = rows[one.validation]
        assert np.abs(judged[:, None] - rows[one.train]).min() > 2, "the gap lies at each border"
        assert np.abs(rows[one.train][:, None] - tested).min() > 2
        seen.add(tuple(sorted({row // 20 for row in judged.tolist()})))
    assert len(seen) > 5 and all(len(one) == 4 for one in seen)


def test_a_split_without_an_example_is_refused() -> None:
    with pytest.raises(UsageError, match="the validation part of a drawn split would be empty"):
        resampled_split.draw(joined(examples(4, groups=np.array(["a"] * 4))), "salt ")
