"""The ensemble of an arm's replicates: its mean prediction, scored where a mean of predictions is one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assay.metrics import ensemble_scores, task_metrics
from assay.metrics.scored_arm import Ruler


def accuracy(targets: Any, predictions: Any) -> float:
    return float((predictions.argmax(axis=1) == targets).mean())


def error(targets: Any, predictions: Any) -> float:
    return float(np.abs(targets - predictions).mean())


def ruler(function: Any, targets: Any) -> Ruler:
    module = SimpleNamespace(METRICS={"m": {"function": function, "direction": "maximize"}})
    metric = task_metrics.read(module, "test")["m"]
    return Ruler({"m": metric}, "m", {}, np.array([f"{row}" for row in range(len(targets))]), targets)


RIGHT, WRONG = [0.9, 0.1], [0.4, 0.6]  # of class 0


def test_three_doubtful_replicates_are_right_together() -> None:
    targets = np.array([0, 0])
    one = [np.array([RIGHT, WRONG]), np.array([WRONG, RIGHT]), np.array([WRONG, RIGHT])]
    (row,) = ensemble_scores.rows(ruler(accuracy, targets), ["a", "b"], {"candidate": one, "baseline": [one[0]] * 2})
    assert row[:7] == ["ensemble", "3 replicates", 2, "m", "0.5", "1", "0.5"]


@pytest.mark.parametrize(
    ("classes", "targets", "predictions"),
    [
        (["a", "b"], np.array([0, 1]), np.array([0.0, 1.0])),  # classes by number
        (["a", "b"], np.array([0, 1]), np.array([[2.0, -1.0], [0.0, 3.0]])),  # logits
        (["a", "b"], np.array([0, 1]), np.array([[2.0, -1.0], [-2.0, 3.0]])),  # logits whose sum is 1 by chance
        ([], np.array([0, 1]), np.array([0.0, 1.0])),  # whole numbers, of which nothing says that they are values
        ([], {"x": np.array([0.5])}, np.array([0.5])),  # several targets
    ],
    ids=["numbers", "logits", "logits that sum to 1", "whole", "several"],
)
def test_where_a_mean_is_no_prediction_there_is_no_ensemble(classes: list[str], targets: Any, predictions: Any) -> None:
    found = ensemble_scores.rows(ruler(error, targets), classes, {"candidate": [predictions] * 3})
    assert list(found) == []


def test_values_have_one_and_kept_scores_have_none() -> None:
    targets, arms = np.array([1.0, 2.0]), {"candidate": [np.array([0.0, 2.0]), np.array([2.0, 2.0])]}
    (row,) = ensemble_scores.rows(ruler(error, targets), [], arms)
    assert row[4:7] == ["", "0", ""]
    assert list(ensemble_scores.rows(ruler(error, targets), [], arms, keeps_scores=True)) == []
