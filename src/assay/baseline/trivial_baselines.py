"""Floors: what a model must beat before anything it does means something.

Covers: predictions of the prior and of a linear model, trained on today's training part: logistic or ridge regression
on standardised inputs with a penalty of 1, as scikit-learn has them by default (importing it takes longer than all of
this, 1.1 s); the last value of a series, the majority of each pixel; and why one would mean nothing. Tokens have floors
of their own (`baseline.token_baselines`). A person's labels or score enter in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from assay.baseline import token_baselines
from assay.core import schemas
from assay.core.paths import ABSENT
from assay.core.schemas import AbsentFloors
from assay.data import content_hash
from assay.data.storage import Examples, arrow, write_array
from assay.runtime import example_ids, files

Predictions = NDArray[np.float32]
Array = NDArray[np.float64]

#: where scikit-learn's logistic regression stops
OPTIONS = {"maxiter": 200, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps, "maxls": 50}
#: a floor needs no more than this; it keeps the floor cheap on large data
MOST_EXAMPLES = 20_000
MOST_FEATURES = 20_000
#: the same for inputs of many numbers: images of 3 × 32 × 32 are 2,730
MOST_NUMBERS = 2**23


def floors(train: Examples, evaluated: Examples) -> dict[str, Predictions]:
    """Name → predictions for `evaluated`, of every floor that means something there.

    Classes: probabilities (N, C). Masks and sequences: class numbers in the targets' shape. Tokens: nats of each token
    in the targets' shape. Else values in the targets' shape.
    """
    found: dict[str, Predictions] = {}
    if train.several is not None:
        return found
    if token_baselines.applies(train):
        return token_baselines.floors(train.take(_first(train)), evaluated)
    if train.classes and train.targets.ndim > 1:
        return {"majority": _majority(train, len(evaluated))}
    if train.classes:
        found["prior"] = _prior(train, len(evaluated))
    else:
        found["mean"] = np.broadcast_to(train.targets.mean(axis=0), evaluated.targets.shape).astype(np.float32)
    if not _no_linear(train):
        found["linear"] = _linear(train, evaluated)
    last = _last_value(evaluated) if train.kind == "series" else None
    return found if last is None else {**found, "last value": last}


def of_splits(
    splits: Iterable[tuple[Examples, Examples]],
) -> tuple[list[NDArray[np.str_]], dict[str, Predictions], dict[str, str]]:
    """Floors of (training, validation) examples of each split: ids (n,) of each, name → predictions (R, N, …) with NaN
    behind the last row of a smaller split, and why others are absent; one that a split lacks is."""
    ids, made, reasons = list[NDArray[np.str_]](), list[dict[str, Predictions]](), dict[str, str]()
    for train, evaluated in splits:
        made.append(floors(train, evaluated))
        reasons |= absent(train)
        ids.append(evaluated.ids)
    names = sorted(set.intersection(*(set(one) for one in made)))
    reasons |= {name: "a split has none" for one in made for name in one if name not in names}
    return ids, {name: _filled_up([one[name] for one in made]) for name in names}, reasons


def _filled_up(rows: Sequence[Predictions]) -> Predictions:
    found = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), np.nan, dtype=np.float32)
    for row, one in zip(found, rows, strict=True):
        row[: len(one)] = one
    return found


def absent(train: Examples) -> dict[str, str]:
    """Name → why that floor is not there, of those that somebody could look for."""
    if train.several is not None:
        return {"mean": "an example has several targets"}
    found = {"linear": reason} if (reason := _no_linear(train)) else {}
    if token_baselines.applies(train):
        return found | token_baselines.absent(train)
    if train.kind == "series" and _last_value(train) is None:
        shapes = f"inputs {train.inputs.shape[1:]} and targets {train.targets.shape[1:]}"
        found["last value"] = f"nothing says which of the inputs goes on in the targets ({shapes})"
    return found


#: form in which inputs are stored → in words
_FORMS = {"table": "a table", "ragged": "arrays of different shapes"}


def _no_linear(train: Examples) -> str:
    """Why a linear model of the inputs would mean nothing; "" where it does."""
    if train.kind == "tokens" or token_baselines.applies(train):
        return "inputs are token ids, whose size means nothing"
    if train.classes and train.targets.ndim > 1:
        return f"targets are a class for each of {train.targets.shape[1:]} entries"
    if (stored := arrow(train.inputs)) is not None:
        return f"inputs are {_FORMS.get(stored.form, stored.form)}, and no array"
    features = int(np.prod(train.inputs.shape[1:]))
    return f"{features} inputs an example are more than {MOST_FEATURES}" if features > MOST_FEATURES else ""


def _first(train: Examples) -> NDArray[np.int64]:
    return np.arange(min(len(train), MOST_EXAMPLES))


def _linear(train: Examples, evaluated: Examples) -> Predictions:
    """Logistic regression of classes, else ridge regression."""
    few = train.take(np.arange(_few(train)))
    x, new = _standardised(few, evaluated)
    if train.classes:
        linear = np.zeros((len(evaluated), len(train.classes)), dtype=np.float32)
        present, targets = np.unique(few.targets, return_inverse=True)
        linear[:, present] = _logistic(x, targets, new)
        return linear
    made = _ridge(x, few.targets.reshape(len(few), -1).astype(np.float64), new)
    return made.reshape(evaluated.targets.shape)


def _few(train: Examples) -> int:
    """How many examples the linear floor is fitted to."""
    return min(len(train), MOST_EXAMPLES, max(1000, MOST_NUMBERS // max(1, train.inputs[:1].size)))


@dataclass(frozen=True)
class Standardised:
    """Inputs (N, …) as rows (N, D) of double precision, a piece at a time: all of them take eight bytes a number."""

    inputs: NDArray[np.generic]
    mean: Array  # (D,)
    spread: Array  # (D,)

    def map(self, predict: Callable[[Array], Array]) -> Predictions:
        """(N, …) what `predict` makes of all rows."""
        pieces = content_hash.pieces(len(self.inputs), 8 * len(self.mean))
        made = [predict(self._piece(self.inputs[piece])).astype(np.float32) for piece in pieces]
        return np.concatenate(made)

    def _piece(self, inputs: NDArray[np.generic]) -> Array:
        found: Array = inputs.reshape(len(inputs), -1).astype(np.float64)
        found -= self.mean
        found /= self.spread
        return found


def _standardised(train: Examples, evaluated: Examples) -> tuple[Array, Standardised]:
    """Inputs of both parts, mean 0 and standard deviation 1 in the training part; constant ones stay 0."""
    x = train.inputs.reshape(len(train), -1).astype(np.float64)
    mean, spread, eps = x.mean(axis=0), x.std(axis=0), np.finfo(float).eps
    # What rounding leaves of a constant is no spread; the bound is scikit-learn's.
    spread[spread**2 <= len(x) * eps * spread**2 + (len(x) * mean * eps) ** 2] = 1
    x -= mean
    x /= spread
    return x, Standardised(evaluated.inputs, mean, spread)


def _last_value(part: Examples) -> Predictions | None:
    """The last step of each input, for all that is to come; None where nothing says which of its values that is."""
    inputs, wanted = part.inputs, part.targets.shape
    if arrow(inputs) is not None or inputs.ndim < 2 or part.classes:
        return None
    last = inputs[:, -1].astype(np.float32)
    if last.ndim == 2 and last.shape[1] == 1:
        last = last[:, 0]
    if last.ndim == 1:  # one value a step
        return np.broadcast_to(last.reshape(-1, *[1] * (len(wanted) - 1)), wanted).copy()
    if wanted[-last.ndim + 1 :] != last.shape[1:] or len(wanted) > last.ndim + 1:
        return None
    return np.broadcast_to(last if len(wanted) == last.ndim else last[:, None], wanted).copy()


def _majority(train: Examples, count: int) -> Predictions:
    """For each place its most frequent class in the training part, as class numbers for every example."""
    counts = [(train.targets == label).sum(axis=0) for label in range(len(train.classes or ()))]
    most = np.argmax(np.stack(counts), axis=0).astype(np.float32)
    return np.broadcast_to(most, (count, *most.shape)).copy()


def _prior(train: Examples, count: int) -> Predictions:
    """Class shares of the training part, for every example; their largest is the majority class."""
    shares = np.bincount(train.targets.astype(np.int64), minlength=len(train.classes or ())) / len(train)
    return np.tile(shares.astype(np.float32), (count, 1))


def _logistic(x: Array, targets: NDArray[np.integer], new: Standardised) -> Predictions:
    """Class probabilities for `new`; a floor that is not quite at its optimum is still a floor."""
    count, features = x.shape
    ones = np.eye(targets.max() + 1)[targets]
    penalty = 2 if ones.shape[1] == 2 else 1  # scikit-learn describes two classes by one column of weights

    def loss(flat: Array) -> tuple[float, Array]:
        weights, bias = flat.reshape(features + 1, -1)[:-1], flat.reshape(features + 1, -1)[-1]
        chances = _softmax(x @ weights + bias)
        likelihood = np.log(np.maximum(chances[np.arange(count), targets], np.finfo(float).tiny)).sum()
        off = chances - ones
        slope = np.vstack([x.T @ off + penalty * weights, off.sum(axis=0)])
        return (penalty / 2 * np.square(weights).sum() - likelihood) / count, slope.ravel() / count

    start = np.zeros((features + 1) * ones.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=OPTIONS)
    made = found.x.reshape(features + 1, -1)
    return new.map(lambda rows: _softmax(rows @ made[:-1] + made[-1]))


def _softmax(logits: Array) -> Array:
    powers: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _ridge(x: Array, targets: Array, new: Standardised) -> Predictions:
    """Values for `new`; the mean carries no penalty, as inputs are centred."""
    mean = targets.mean(axis=0)
    if x.shape[1] <= len(x):
        weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (targets - mean))
    else:  # the same by the kernel trick
        weights = x.T @ np.linalg.solve(x @ x.T + np.eye(len(x)), targets - mean)
    return new.map(lambda rows: rows @ weights + mean)


def write(folder: Path, ids: NDArray[np.str_], named: dict[str, Predictions], absent: Mapping[str, str]) -> None:
    """One `NAME.npy` a floor, beside the ids of the examples; and why other floors are absent."""
    for name, array in {"ids": example_ids.packed(ids), **named}.items():
        write_array(folder / f"{name}.npy", array)
    (folder / ABSENT).unlink(missing_ok=True)
    if absent:
        files.write_bytes(folder / ABSENT, schemas.encode(AbsentFloors(absent=dict(absent))))
