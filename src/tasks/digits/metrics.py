"""Digits: the ruler. Targets are class numbers (N,), predictions are probabilities (N, 10)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: raise it when the meaning of a metric changes in a way that its code does not show
REVISION = 1


def accuracy(targets: NDArray[np.int64], predictions: NDArray[np.float32]) -> float:
    """Share of examples whose most probable class is the right one."""
    return float(correct(targets, predictions).mean())


def cross_entropy(targets: NDArray[np.int64], predictions: NDArray[np.float32]) -> float:
    """Mean negative log probability of the right class, in nats."""
    chosen = predictions[np.arange(len(targets)), targets].astype(np.float64)
    return float(-np.log(np.clip(chosen, 1e-12, 1.0)).mean())


def correct(targets: NDArray[np.int64], predictions: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which examples are right, for cases.csv and for the interval over new examples."""
    return np.asarray(predictions.argmax(axis=1) == targets)


METRICS = {
    "accuracy": {"function": accuracy, "direction": "maximize", "min_effect": 0.005, "per_example": correct},
    "cross_entropy": {"function": cross_entropy, "direction": "minimize", "min_effect": 0.01},
}
