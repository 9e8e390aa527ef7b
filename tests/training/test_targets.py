"""Targets of any shape in training: sequences, masks, several an example, and scores in place of predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from miniature import Make, some_ids

from assay.core.errors import UsageError
from assay.data.storage import Examples
from assay.data.validate_examples import canonical

MASKS = """
from torch import nn

def model(shape, outputs): return nn.Conv2d(1, outputs, 3, padding=1)

def loss(outputs, targets): return nn.functional.cross_entropy(outputs, targets, ignore_index=-1)

def preprocess(inputs): return inputs.float()[:, None]
"""

SEVERAL = """
import torch
from torch import nn

def model(shape, outputs):
    assert outputs == {"height": 1, "kind": 2}, outputs
    return nn.Linear(shape[0], 4)

def loss(outputs, targets):
    assert targets["kind"].dtype == torch.int64 and targets["height"].dtype == torch.float32
    kind = -outputs[:, 1:].log_softmax(-1).gather(-1, targets["kind"][:, :1]).mean()
    return (outputs[:, 0] - targets["height"]).square().mean() + kind

def augment(inputs, targets, generator):
    return inputs, {"kind": targets["kind"], "height": targets["height"] + 0.0}
"""


def masks(count: int, start: int) -> Examples:
    inputs = np.random.default_rng(start).random((count, 5, 4), dtype=np.float32)
    targets = (inputs > 0.5).astype(np.int64)
    targets[:, 0, 0] = -1 if start else 0
    return Examples(some_ids(count, start), inputs, targets, classes=("off", "on"))


def several(count: int, start: int) -> Examples:
    inputs = np.random.default_rng(start).random((count, 3))
    kinds = (inputs[:, 1:] > 0.5).astype(np.int16)
    made = canonical({"inputs": inputs, "targets": {"height": inputs[:, 0] * 10, "kind": kinds}}, "data.py")
    return replace(made, ids=some_ids(count, start))


def test_masks_predict_probabilities_or_classes(make: Make) -> None:
    project = make(MASKS)
    project.part("train", masks(40, 0)), project.part("validation", masks(10, 100))
    project.measure([0])
    (found,) = project.predictions()
    assert found.shape == (10, 5, 4, 2) and np.allclose(found.sum(-1), 1, atol=1e-6)
    other = make(MASKS + "def predict(outputs): return outputs.argmax(1)\n")
    other.part("train", masks(40, 0)), other.part("validation", masks(10, 100))
    other.measure([0])
    assert (other.predictions()[0] == found.argmax(-1)).all()
    wrong = make(MASKS + "def predict(outputs): return outputs.mean(1)[:, :2]\n")
    wrong.part("train", masks(40, 0)), wrong.part("validation", masks(10, 100))
    with pytest.raises(UsageError, match=r"shape \(8, 2, 4\); allowed: \(8, 5, 4, 2\), a probability"):
        wrong.measure([0])


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_several_targets_reach_the_task_by_name(make: Make, execution: str) -> None:
    project = make(SEVERAL)
    project.part("train", several(60, 0)), project.part("validation", several(20, 100))
    project.measure([0, 1], execution=execution)
    assert project.predictions().shape == (2, 20, 4)
    wrong = make(SEVERAL.replace('{"kind": targets["kind"], ', "{"))
    wrong.part("train", several(60, 0)), wrong.part("validation", several(20, 100))
    with pytest.raises(
        UsageError, match=r"augment\(\) returns targets \['height'\]; allowed: a dict with height, kind"
    ):
        wrong.measure([0], execution="sequential")


def test_several_targets_come_back_as_prepare_gave_them(make: Make) -> None:
    given = {"a": np.arange(6, dtype=np.int16).reshape(3, 2), "b": np.array([0.1, 0.2, 0.3], dtype=np.float32)}
    found = canonical({"inputs": np.eye(3), "targets": given}, "data.py").take(np.array([2, 0])).seen_targets
    assert {name: (array.dtype, array.tolist()) for name, array in found.items()} == {
        name: (array.dtype, array[[2, 0]].tolist()) for name, array in given.items()
    }
    fit = """
    def fit(params, data, seed):
        assert set(data.targets) == {"height", "kind"} and data.targets["kind"].shape == (60, 2)
        return lambda inputs: inputs
    """
    project = make(fit)
    project.part("train", several(60, 0)), project.part("validation", several(20, 100))
    project.measure([0])
    for targets, said in (
        ({"a": np.arange(3), "b": np.arange(2)}, "lengths"),
        ({"a": np.array([2**60, 1, 2])}, "beyond"),
        ({"a": np.array([np.nan, 1, 2])}, "contains nan"),
    ):
        with pytest.raises(UsageError, match=said):
            canonical({"inputs": np.eye(3), "targets": targets}, "data.py")


def test_scores_are_kept_in_place_of_predictions(make: Make) -> None:
    project = make(MASKS + "def score(outputs, targets): return (outputs.argmax(1) == targets).float().mean((1, 2))\n")
    project.part("train", masks(40, 0)), project.part("validation", masks(10, 100))
    project.measure([0, 1])
    found = project.predictions()
    assert found.shape == (2, 10) and (found >= 0).all() and (found <= 1).all()
    wrong = make(MASKS + "def score(outputs, targets): return outputs.mean()\n")
    wrong.part("train", masks(40, 0)), wrong.part("validation", masks(10, 100))
    with pytest.raises(
        UsageError, match=r"score\(\) returns \(\) for 8 examples; allowed: a Tensor with a row for each"
    ):
        wrong.measure([0])
