"""Ready metrics against scikit-learn, on thin and degenerate parts, and by what their versions follow."""

from __future__ import annotations

import posixpath
import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from assay.core.ast_normal_form import Source
from assay.core.errors import UsageError
from assay.core.params_yaml import MetricSection
from assay.metrics import metric_definition, task_metrics
from assay.metrics.version.version_key import metric_code, metric_version
from assay.ready import metrics as ready
from assay.runtime import import_closure
from assay.runtime.source_roots import LIBRARY_TREE

CHANCE = np.random.default_rng(3)


def classes(count: int, examples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Labels that every class has, and rounded probabilities, so that some are tied."""
    targets = np.concatenate([np.arange(count), CHANCE.integers(0, count, examples - count)])
    chances = CHANCE.dirichlet(np.ones(count), examples).round(2) + 0.01
    chances[np.arange(examples), targets] += CHANCE.choice([0, 1.0], examples)
    return targets, (chances / chances.sum(axis=1, keepdims=True)).astype(np.float64)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_metrics_of_classes(count: int) -> None:
    targets, chances = classes(count)
    found = chances.argmax(axis=1)
    expected = {
        "accuracy": oracle.accuracy_score(targets, found),
        "balanced_accuracy": oracle.balanced_accuracy_score(targets, found),
        "macro_f1": oracle.f1_score(targets, found, average="macro"),
        "micro_f1": oracle.f1_score(targets, found, average="micro"),
        "auroc": oracle.roc_auc_score(targets, chances[:, 1] if count == 2 else chances, multi_class="ovr"),
        "log_loss": oracle.log_loss(targets, chances),
        "iou": oracle.jaccard_score(targets, found, average="macro"),
    }
    for name, value in expected.items():
        assert getattr(ready, name)(targets, chances) == pytest.approx(value, abs=1e-12), name
    assert ready.macro_f1(targets, found) == pytest.approx(expected["macro_f1"])  # class numbers are as good
    table = ready.per_class(targets, chances, count)
    wanted = oracle.precision_recall_fscore_support(targets, found, labels=range(count), zero_division=np.nan)
    for mine, theirs in zip(("precision", "recall", "f1", "count"), wanted, strict=True):
        np.testing.assert_allclose(table[mine], theirs, atol=1e-12, err_msg=mine)


def test_metrics_of_values() -> None:
    for shape in ((50,), (50, 3)):
        targets, found = CHANCE.normal(size=shape), CHANCE.normal(size=shape)
        assert ready.mae(targets, found) == pytest.approx(oracle.mean_absolute_error(targets, found))
        assert ready.rmse(targets, found) == pytest.approx(oracle.mean_squared_error(targets, found) ** 0.5)
        assert ready.r2(targets, found) == pytest.approx(oracle.r2_score(targets, found))
        assert ready.absolute_error(targets, found).mean() == pytest.approx(ready.mae(targets, found))


def test_calibration_error_by_hand() -> None:
    """Two bins: two examples at 0.7 with one right, two at 0.9 with both right."""
    chances = np.array([[0.7, 0.3], [0.3, 0.7], [0.9, 0.1], [0.1, 0.9]])
    assert ready.ece(np.array([0, 0, 0, 1]), chances) == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)
    assert ready.ece(np.array([0, 1, 0, 1]), np.eye(2)[[0, 1, 0, 1]]) == 0


def test_tokens_count_without_padding() -> None:
    """Probabilities of the right token 0.5, 0.25 and 0.125: 2 bits in the mean; the fourth entry is padding."""
    targets = np.array([[0, 1], [2, -1]])
    chances = np.full((2, 2, 3), 0.25)
    chances[0, 0, 0], chances[0, 1, 1], chances[1, 0, 2] = 0.5, 0.25, 0.125
    two_bits = 2 * np.log(2)
    assert ready.nats_per_token(targets, chances) == pytest.approx(two_bits)
    scores = -np.log(np.array([[0.5, 0.25], [0.125, 1e-9]]))
    assert ready.nats_per_token(targets, scores) == pytest.approx(two_bits)
    assert ready.nats(targets, chances) == pytest.approx([1.5 * np.log(2), 3 * np.log(2)])
    assert ready.accuracy(targets, chances) == 1 / 3  # of the tied ones the first counts


def test_masks_count_pixel_by_pixel() -> None:
    actual, found = np.zeros((1, 2, 4), int), np.zeros((1, 2, 4), int)
    actual[:, :, :2] = 1
    found[:, :, :3] = 1
    assert ready.iou(actual, found) == pytest.approx((4 / 6 + 2 / 4) / 2)


@pytest.mark.parametrize(
    ("name", "targets", "predictions", "said"),
    [
        ("auroc", [1, 1], [[0.5, 0.5]] * 2, "none of the 2 examples has class number 0"),
        ("r2", [3.0, 3.0], [1.0, 2.0], "all 2 targets are 3"),
        ("log_loss", [0, 1], [[2.0, -1.0]] * 2, "leave 0 to 1"),
        ("log_loss", [0, 1], [0, 1], "a probability of each class"),
        ("accuracy", [0, 1], [0.2, 0.7], "not whole"),
        ("accuracy", [0.5, 1.0], [0, 1], "class numbers"),
        ("accuracy", [0, 1], [[0.5, 0.5]] * 3, r"shape \(3, 2\) do not fit"),
        ("mae", [0.0, 1.0], [[0.0], [1.0]], "do not fit"),
        ("nats_per_token", [[-1, -1]], [[0.1, 0.1]], "padding"),
        ("nats_per_token", [[1, 1]], [[-0.1, 0.1]], "below 0"),
    ],
)
def test_what_cannot_be_scored_is_a_sentence(name: str, targets: list, predictions: list, said: str) -> None:
    metric = task_metrics.asked(ready, MetricSection(name=name), "task")[name]
    with warnings.catch_warnings(), pytest.raises(UsageError, match=said) as caught:
        warnings.simplefilter("error")
        task_metrics.score(metric, {}, np.array(targets), np.array(predictions), "replicate 1")
    assert f"metric {name} for replicate 1" in str(caught.value)


@pytest.mark.parametrize("name", ready.METRICS)
def test_thin_parts_give_numbers(name: str) -> None:
    """One class alone, a class that is only predicted: a number without a warning, or a sentence."""
    targets, chances = np.array([1, 1, 1]), np.array([[0.1, 0.9, 0.0], [0.0, 0.0, 1.0], [0.2, 0.8, 0.0]])
    if name in ("mae", "rmse", "r2"):
        targets, chances = np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert np.isfinite(ready.METRICS[name]["function"](targets, chances))
        except ValueError as error:
            assert name in ("auroc", "r2") and "not defined" in str(error)


def test_a_name_alone_asks_for_it_and_what_stands_beside() -> None:
    found = task_metrics.asked(ready, MetricSection(name="log_loss", min_effect=0.3), "task")
    assert list(found) == ["log_loss", "accuracy", "ece"]
    assert found["log_loss"].min_effect == 0.3 and not found["log_loss"].beside and found["ece"].beside
    assert set(ready.BESIDE) == set(ready.METRICS)
    with pytest.raises(UsageError, match="'f1'"):
        task_metrics.asked(ready, MetricSection(name="f1"), "task")


MODULE = "assay.ready.metrics"


def library(old: str = "", new: str = ""):
    """Sources of the library, with an edit in the ready metrics."""

    def read(name: str) -> Source | None:
        found = import_closure.read_module(LIBRARY_TREE, name) if name.startswith("assay") else None
        if name != MODULE or not old or found is None:
            return found
        assert old.encode() in found.text
        return Source(found.text.replace(old.encode(), new.encode()), found.package)

    return read


def by_import(name: str, read) -> object:
    task = f"from assay.ready.metrics import {name}\nMETRICS = {{'m': {{'function': {name}, 'direction': 'maximize'}}}}"
    return lambda module: Source(task.encode(), False) if module == "task" else read(module)


@pytest.mark.parametrize("way", ["by name", "by import"])
def test_the_version_follows_the_code_of_its_metric_alone(way: str) -> None:
    def code(name: str, *edit: str) -> str:
        read = library(*edit)
        return metric_code(read, "task", name) if way == "by name" else metric_code(by_import(name, read), "task", "m")

    own = ("2 * (actual & predicted).sum()", "3 * (actual & predicted).sum()")  # in _f1, which macro F1 calls
    assert code("macro_f1", *own) != code("macro_f1")
    other = ("np.abs(predicted - actual).mean()", "np.abs(actual - predicted).mean()")
    assert code("macro_f1", *other) == code("macro_f1") and code("mae", *other) != code("mae")
    assert "BESIDE" not in code("macro_f1") and "log_loss" not in code("macro_f1")
    version = metric_version(library(), "task", "macro_f1", 1, "examples", {})
    assert version.startswith("macro_f1-1.") and version != metric_version(
        library(*own), "task", "macro_f1", 1, "examples", {}
    )


LEARNING = """
import torch
from torch import nn
SCALE = 2.0
class Net(nn.Module):
    width = 3
def scaled(x): return x * SCALE
def score(outputs, targets): return scaled(outputs)
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [("SCALE = 2.0", "SCALE = 3.0", True), ("x * SCALE", "x + SCALE", True), ("width = 3", "width = 4", False)],
)
def test_what_makes_scores_is_part_of_the_ruler_and_the_model_beside_it_is_not(
    old: str, new: str, changed: bool
) -> None:
    def defined(learning: str) -> metric_definition.MetricDefinition:
        params = "task: {name: t}\nmetric: {name: loss, min_effect: 0.25}\n"
        metrics = "METRICS = {'loss': {'direction': 'minimize'}}\n"
        tree = {"params.yaml": params, "tasks/t/metrics.py": metrics, "tasks/t/learning.py": learning}
        files = {name: text.encode() for name, text in tree.items()}
        read = metric_definition.ReadFile(lambda path: files.get(posixpath.normpath(path)), (".", "src"))
        return metric_definition.definition(read, "loss", "here", recorded=False)

    before, after = defined(LEARNING), defined(LEARNING.replace(old, new))
    assert before.terms is not None and before.min_effect == 0.25 and before.code
    found = metric_definition.changes(before, after, before.terms)
    assert found == (["score(), whose results it gets"] if changed else [])
