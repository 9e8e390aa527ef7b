"""The linear floor against scikit-learn's own models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from assay.baseline.trivial_baselines import floors
from assay.data.storage import Examples


def part(inputs: np.ndarray, targets: np.ndarray, classes: int | None = None) -> Examples:
    names = None if classes is None else tuple(map(str, range(classes)))
    return Examples(np.array([f"{row:032x}" for row in range(len(inputs))]), inputs, targets, classes=names)


def digits() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target


@pytest.mark.parametrize(
    ("data", "classes", "close"), [(digits(), 10, 1e-6), (load_breast_cancer(return_X_y=True), 2, 1e-2)]
)
def test_logistic_regression(data: tuple[np.ndarray, np.ndarray], classes: int, close: float) -> None:
    """To rounding; of two classes scikit-learn keeps one column of weights, and stops at another point."""
    inputs, targets = data
    found = floors(part(inputs[:400], targets[:400], classes), part(inputs[400:], targets[400:], classes))
    flat = inputs.reshape(len(inputs), -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(flat[:400], targets[:400])
    assert np.allclose(found["linear"], model.predict_proba(flat[400:]), atol=close)
    assert np.allclose(found["prior"], np.bincount(targets[:400], minlength=classes) / 400)


@pytest.mark.parametrize("count", [300, 8], ids=["more examples than inputs", "fewer"])
def test_ridge_regression(count: int) -> None:
    inputs, targets = load_diabetes(return_X_y=True)
    found = floors(part(inputs[:count], targets[:count]), part(inputs[300:], targets[300:]))
    model = make_pipeline(StandardScaler(), Ridge()).fit(inputs[:count], targets[:count])
    assert np.allclose(found["linear"], model.predict(inputs[300:]), rtol=1e-6)


def test_classes_that_training_lacks_have_no_chance_and_one_class_is_certain() -> None:
    inputs, targets = digits()
    few, new = targets[:400] < 3, part(inputs[400:], targets[400:], 10)
    found = floors(part(inputs[:400][few], targets[:400][few], 10), new)["linear"]
    assert (found[:, 3:] == 0).all() and np.allclose(found.sum(axis=1), 1)
    alone = targets[:400] == 3
    found = floors(part(inputs[:400][alone], targets[:400][alone], 10), new)["linear"]
    assert (found[:, 3] == 1).all()


def test_what_rounding_leaves_of_a_constant_is_no_spread() -> None:
    """A column of 0.1 has a standard deviation of 5e-16 in NumPy; where it changes later, that is no 4e14 of them."""
    images, targets = digits()
    inputs = np.hstack([images.reshape(len(images), -1).astype(np.float64), np.full((len(images), 1), 0.1)])
    same = floors(part(inputs[:300], targets[:300], 10), part(inputs[300:], targets[300:], 10))["linear"]
    inputs[300:, -1] = 0.3
    moved = floors(part(inputs[:300], targets[:300], 10), part(inputs[300:], targets[300:], 10))["linear"]
    assert np.allclose(same, moved, atol=1e-6)
