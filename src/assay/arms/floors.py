"""Floors: what a model must beat before anything it does means something.

Covers: predictions of the prior and of a linear model, trained on today's training part. A human score is
a number in params.yaml, and enters in `evaluate`.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from assay.data.examples import Examples, write_array

Predictions = NDArray[np.float32]

#: a linear floor needs no more than this; it keeps the floor cheap on large data
MOST_EXAMPLES = 20_000


def floors(train: Examples, evaluated: Examples) -> dict[str, Predictions]:
    """Name → predictions for `evaluated`: class probabilities (N, C), or values of the targets' shape."""
    few = train.take(np.arange(min(len(train), MOST_EXAMPLES)))
    x, new = few.inputs.reshape(len(few), -1), evaluated.inputs.reshape(len(evaluated), -1)
    if train.classes:
        return {"prior": _prior(train, len(evaluated)), "linear": _logistic(x, few, new)}
    mean = np.broadcast_to(train.targets.mean(axis=0), evaluated.targets.shape).astype(np.float32)
    ridge = make_pipeline(StandardScaler(), Ridge()).fit(x, few.targets.reshape(len(few), -1))
    return {"mean": mean, "linear": ridge.predict(new).reshape(evaluated.targets.shape).astype(np.float32)}


def _prior(train: Examples, count: int) -> Predictions:
    """Class shares of the training part, for every example; their largest is the majority class."""
    shares = np.bincount(train.targets.astype(np.int64), minlength=len(train.classes or ())) / len(train)
    return np.tile(shares.astype(np.float32), (count, 1))


def _logistic(x: NDArray[np.generic], train: Examples, new: NDArray[np.generic]) -> Predictions:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    with warnings.catch_warnings():  # a floor that is not quite at its optimum is still a floor
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, train.targets)
    found = np.zeros((len(new), len(train.classes or ())), dtype=np.float32)
    found[:, model[-1].classes_] = model.predict_proba(new)
    return found


def write(folder: Path, ids: NDArray[np.str_], named: dict[str, Predictions]) -> None:
    """One `NAME.npy` a floor, beside the ids of the examples."""
    for name, array in {"ids": ids, **named}.items():
        write_array(folder / f"{name}.npy", array)
