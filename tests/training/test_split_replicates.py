"""`vary: [split]` in training: each replicate trains and predicts examples of its own, shared by both arms."""

from __future__ import annotations

import numpy as np
import pytest
from miniature import Make, Project, digits
from msgspec import UNSET
from msgspec.structs import replace

from assay.core import params_yaml, variation
from assay.core.errors import UsageError
from assay.core.schemas import Measurement, SplitDraw
from assay.data import storage
from assay.replicates import split_examples, train_and_eval_examples
from assay.runtime import example_ids
from assay.training.replicate_process import fork_safety

SOURCE = """
    from torch import Tensor, nn

    def model(shape, outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()

    def statistics(inputs: Tensor) -> dict[str, Tensor]:
        return {"mean": inputs.float().mean(0)}

    def preprocess(inputs: Tensor, statistics: dict[str, Tensor]) -> Tensor:
        return (inputs - statistics["mean"]) / 16
"""
PURPOSE = "paired varying init+order+augment+dropout+split"


def draws(made: Project, **split: object) -> SplitDraw:
    part = made.root / "data"
    given = {"validation": 0.2, "test": 0.1, **split}
    return SplitDraw(train=str(part / "train"), validation=str(part / "validation"), prepared=str(part), split=given)


def measured(made: Project, numbers: list[int], **more: object) -> Measurement:
    return made.measure(numbers, **{"purpose": PURPOSE, "draws": draws(made), **more})


def ids(made: Project, out: str = "out") -> list[list[str]]:
    return [
        [name for name in row if name] for row in example_ids.read(made.root / out / "predictions" / "ids.npy").tolist()
    ]


def test_each_replicate_has_its_own_examples_and_both_arms_share_them(make: Make) -> None:
    made = make(SOURCE, examples=90, evaluated=30, train={"epochs": 1})
    found = measured(made, [0, 1, 2])
    assert found.splits is not UNSET and found.left_out == 0
    rows = ids(made)
    assert len({tuple(row) for row in rows}) == 3, "another split each"
    assert (
        found.splits.evaluated == [len(row) for row in rows]
        and np.isfinite(made.predictions()[0][: len(rows[0])]).all()
    )
    both = {*storage.read(made.root / "data/train")[0].ids, *storage.read(made.root / "data/validation")[0].ids}
    assert all(set(row) <= both for row in rows) and sum(found.splits.train[:1] + found.splits.evaluated[:1]) == 120
    again = measured(made, [0, 1, 2], out="again", code="another arm")
    assert ids(made, "again") == rows and again.splits == found.splits
    other = measured(made, [0, 1, 2], out="other", seed=2)
    assert ids(made, "other") != rows and other.splits != found.splits
    fresh = measured(made, [0, 1, 2], out="fresh", purpose=f"paired-confirmation varying {PURPOSE.split()[-1]}")
    assert fresh.splits is not UNSET and fresh.splits.content != found.splits.content, "a confirmation draws anew"


def test_a_replicate_is_the_training_on_its_parts(make: Make) -> None:
    """The oracle: the same parts written out, one replicate alone on them. Statistics are those of its own part."""
    made = make(SOURCE, examples=60, evaluated=20, train={"epochs": 2, "holdout": 0.2, "patience": 1})
    measured(made, [4, 5])
    asked = replace(made.request([4, 5]), purpose=PURPOSE, draws=draws(made))
    sample = split_examples.read(asked, split_params(made)).of(5)
    weights = made.weights(5)
    made.part("train", sample.train)
    made.part("validation", sample.evaluated)
    made.measure([5], out="alone", purpose=PURPOSE)
    assert made.weights(5, "alone") == weights
    assert np.array_equal(made.predictions("alone")[0], made.predictions()[1][: len(sample.evaluated)])


def split_params(made: Project) -> params_yaml.Params:
    return params_yaml.load((made.root / "params.yaml").read_text())


def test_the_cache_knows_a_split_by_seed_and_number(make: Make) -> None:
    made = make(SOURCE, examples=60, evaluated=20, train={"epochs": 1})
    cache = str(made.root / "cache")
    first = measured(made, [0, 1], cache=cache)
    assert not any(one.reused for one in first.replicates)
    predictions = made.predictions()
    second = measured(made, [0, 1, 2], cache=cache)
    assert [one.reused for one in second.replicates] == [True, True, False]
    assert np.array_equal(made.predictions()[0][: predictions.shape[1]], predictions[0])
    plain = made.measure([0, 1], cache=cache, purpose="paired")
    assert not any(one.reused for one in plain.replicates), "not those of the fixed parts"
    made.part("validation", digits(1200, 1220))
    assert not any(one.reused for one in measured(made, [0, 1], cache=cache).replicates), "they train in part"


def test_the_sealed_part_is_predicted_by_all(make: Make) -> None:
    made = make(SOURCE, examples=60, evaluated=20, train={"epochs": 1})
    made.part("test", digits(1500, 1510))
    found = measured(made, [0, 1], evaluate=str(made.root / "data/test"))
    assert made.predictions().shape[:2] == (2, 10) and np.load(made.root / "out/predictions/ids.npy").shape == (10,)
    assert found.splits is not UNSET


def test_other_training_data_of_the_baseline(make: Make) -> None:
    """Its own examples train, but for those that are predicted; the validation part is today's."""
    made = make(SOURCE, examples=60, evaluated=20, train={"epochs": 1})
    made.part("own", digits(30, 200))
    asked = replace(made.request([0]), purpose=PURPOSE, draws=draws(made), train=str(made.root / "data/own"))
    found = split_examples.read(asked, split_params(made)).of(0)
    today = split_examples.read(replace(asked, train=str(made.root / "data/train")), split_params(made)).of(0)
    assert set(found.evaluated.ids) == set(today.evaluated.ids)
    assert not set(found.train.ids) & set(found.evaluated.ids)
    assert {*found.train.ids} >= {*digits(60, 200).ids}
    assert {*found.train.ids} & {*digits(1000, 1020).ids} == {*today.train.ids} & {*digits(1000, 1020).ids}
    asked = replace(asked, draws=draws(made, by="order"))
    with pytest.raises(UsageError, match="trained on other data than today's"):
        split_examples.read(asked, split_params(made))


def test_who_cannot_draw_splits_says_so(make: Make) -> None:
    made = make(SOURCE, examples=20, evaluated=10)
    with pytest.raises(UsageError, match="vary has split"):
        train_and_eval_examples.read(replace(made.request([0]), draws=draws(made)), split_params(made))


LOOP = """
    import torch

    def fit(params, data, seed, log):
        mean = data.train.inputs.float().mean()
        return lambda inputs: torch.full((len(inputs), 10), float(mean))
"""


def test_a_loop_of_its_own_may_have_splits_where_all_else_varies(make: Make) -> None:
    made = make(LOOP, examples=40, evaluated=20)
    measured(made, [0, 1])
    first, second = made.predictions()
    assert np.nanmin(first) != np.nanmin(second)
    with pytest.raises(UsageError, match="has one seed for all that it draws"):
        measured(made, [0], purpose=variation.purpose("paired", ["order", "split"]))


@pytest.mark.extra
def test_a_loop_has_the_same_split_in_a_fresh_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is on a Mac, and where a GPU was asked for: that process reads the examples by itself."""
    made = make(LOOP, examples=40, evaluated=20)
    measured(made, [0, 1])
    monkeypatch.setattr(fork_safety, "can_fork", lambda _known: False)
    measured(made, [0, 1], out="fresh")
    assert np.array_equal(made.predictions("fresh"), made.predictions(), equal_nan=True)
