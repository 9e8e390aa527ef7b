"""Ready metrics, by name: `metric.name: macro_f1` in params.yaml, or from here in the METRICS of a task. NumPy only.

Targets are class numbers (N, …) or values (N, …); an entry below 0 among class numbers of more than one dimension is
padding and does not count. Predictions of classes are probabilities (N, …, C), or class numbers in the targets' shape.
Covers: what each metric is, what it refuses (ValueError with one sentence), per-class numbers. Not covered: verdicts.

Every function stands on its own or on the helpers that it calls, as the metric version follows it definition by
definition: an edit of one metric leaves the versions of the others alone. `min_effect` is a convention, stated here:
half a percentage point for shares (0.005, the last digit that tables of results show), 0.01 nats for likelihoods (a
factor of 1.01 in perplexity), 0.01 for R²; none for errors in the units of the targets, which only their owner knows:
set `metric.min_effect`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: a probability of 0 costs this many nats and not infinitely many: -log(1e-12) is 27.6
SMALLEST = 1e-12


def accuracy(targets: Array, predictions: Array) -> float:
    """Share of entries whose most probable class is the right one."""
    actual, predicted = _labels(targets, predictions)
    return float((actual == predicted).mean())


def balanced_accuracy(targets: Array, predictions: Array) -> float:
    """Mean over the classes that are there of the share that is right: recall, each class weighing the same."""
    actual, predicted = _labels(targets, predictions)
    right = actual == predicted
    return float(np.mean([right[actual == label].mean() for label in np.unique(actual)]))


def macro_f1(targets: Array, predictions: Array) -> float:
    """Mean F1 over the classes that are there or were predicted; 0 for one that was never right."""
    actual, predicted = _labels(targets, predictions)
    return float(np.mean([_f1(actual == label, predicted == label) for label in np.union1d(actual, predicted)]))


def micro_f1(targets: Array, predictions: Array) -> float:
    """F1 of all decisions together, which for one label an entry is the accuracy."""
    actual, predicted = _labels(targets, predictions)
    return float((actual == predicted).mean())


def auroc(targets: Array, predictions: Array) -> float:
    """Chance that an example of a class gets a higher probability of it than one of another; ties count half.

    Two classes: of the second one. More: each class against the rest, and their mean.
    """
    chances, actual = _probabilities(targets, predictions)
    classes = chances.shape[-1]
    missing = sorted(set(range(classes)) - set(actual.tolist()))
    if missing:
        raise ValueError(f"AUROC is not defined: none of the {len(actual)} examples has class number {missing[0]}")
    if classes == 2:
        return _rank_auroc(actual == 1, chances[:, 1])
    return float(np.mean([_rank_auroc(actual == label, chances[:, label]) for label in range(classes)]))


def log_loss(targets: Array, predictions: Array) -> float:
    """Mean negative log probability of the right class, in nats."""
    chances, actual = _probabilities(targets, predictions)
    chosen = np.take_along_axis(chances, actual[:, None], axis=1)[:, 0]
    return float(-np.log(np.clip(chosen, SMALLEST, 1.0)).mean())


def ece(targets: Array, predictions: Array, *, bins: int = 15) -> float:
    """Expected calibration error: |accuracy - confidence| in equal bins of confidence, weighted by their examples.

    Fifteen bins as Guo et al. have them (ICML 2017).
    """
    chances, actual = _probabilities(targets, predictions)
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == actual
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(actual))


def mae(targets: Array, predictions: Array) -> float:
    """Mean absolute error over all entries."""
    actual, predicted = _values(targets, predictions)
    return float(np.abs(predicted - actual).mean())


def rmse(targets: Array, predictions: Array) -> float:
    """Root of the mean squared error over all entries."""
    actual, predicted = _values(targets, predictions)
    return float(np.sqrt(np.square(predicted - actual).mean()))


def r2(targets: Array, predictions: Array) -> float:
    """Share of the variance that is explained, of several entries a target the mean over entries."""
    actual, predicted = (each.reshape(len(each), -1) for each in _values(targets, predictions))
    spread = np.square(actual - actual.mean(axis=0)).sum(axis=0)
    if not spread.all():
        constant = actual[0, np.flatnonzero(spread == 0)[0]]
        raise ValueError(f"R² is not defined: all {len(actual)} targets are {constant:g}; take mae or rmse")
    return float(np.mean(1 - np.square(actual - predicted).sum(axis=0) / spread))


def nats_per_token(targets: Array, predictions: Array) -> float:
    """Mean negative log probability of each next token, padding left out; log₂ of it would be bits."""
    nats, kept = _nats(targets, predictions)
    return float(nats[kept].mean())


def iou(targets: Array, predictions: Array) -> float:
    """Intersection over union of each class over the whole part, then the mean over classes that are there."""
    actual, predicted = _labels(targets, predictions)
    found = []
    for label in np.union1d(actual, predicted):
        first, second = actual == label, predicted == label
        found.append((first & second).sum() / (first | second).sum())
    return float(np.mean(found))


def correct(targets: Array, predictions: Array) -> NDArray[np.float64]:
    """Share of each example's entries that are right, (N,)."""
    labels = _entry_labels(targets, predictions)
    return _each(labels == targets, _kept(targets))


def nats(targets: Array, predictions: Array) -> NDArray[np.float64]:
    """Mean negative log probability of each example's right classes, (N,)."""
    return _each(*_nats(targets, predictions))


def absolute_error(targets: Array, predictions: Array) -> NDArray[np.float64]:
    """Mean absolute error of each example, (N,)."""
    actual, predicted = _values(targets, predictions)
    return np.asarray(np.abs(predicted - actual).reshape(len(actual), -1).mean(axis=1), dtype=np.float64)


def per_class(targets: Array, predictions: Array, classes: int) -> dict[str, NDArray[np.float64]]:
    """Precision, recall and F1 (C,) of each class, NaN where no entry is of it; and how many are (`count`)."""
    actual, predicted = _labels(targets, predictions)
    if actual.max() >= classes or predicted.max() >= classes:
        raise ValueError(f"there are {classes} classes, but class number {max(actual.max(), predicted.max())}")
    count, guessed = (np.bincount(each, minlength=classes).astype(np.float64) for each in (actual, predicted))
    hits = np.bincount(actual[actual == predicted], minlength=classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall, f1 = hits / guessed, hits / count, 2 * hits / (count + guessed)
    return {"precision": precision, "recall": recall, "f1": f1, "count": count}


def _f1(actual: Array, predicted: Array) -> float:
    return float(2 * (actual & predicted).sum() / (actual.sum() + predicted.sum()))


def _rank_auroc(positive: Array, scores: Array) -> float:
    """By ranks (Mann and Whitney), equal scores with their mean rank."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    first = positive.sum()
    return float((ranks[positive].sum() - first * (first + 1) / 2) / (first * (len(positive) - first)))


def _kept(targets: Array) -> Array:
    """Which entries count: all but padding."""
    kept = targets >= 0 if targets.ndim > 1 else np.ones(targets.shape, dtype=bool)
    if not kept.any():
        raise ValueError(f"nothing to score: all {targets.size} entries of the targets are padding")
    return kept


def _entry_labels(targets: Array, predictions: Array) -> Array:
    """Predicted class of each entry, in the targets' shape."""
    if targets.dtype.kind not in "ui":
        raise ValueError(f"targets are {targets.dtype}, and a metric of classes needs class numbers")
    if predictions.shape == targets.shape:
        labels = predictions.astype(np.int64)
        if (labels != predictions).any() or (labels < 0).any():
            raise ValueError("predictions in the targets' shape are class numbers from 0, and these are not whole")
        return labels
    if predictions.shape[:-1] != targets.shape:
        raise ValueError(f"predictions of shape {predictions.shape} do not fit targets of shape {targets.shape}")
    return np.asarray(predictions.argmax(axis=-1))


def _labels(targets: Array, predictions: Array) -> tuple[Array, Array]:
    """Actual and predicted class of all entries that count, one after another."""
    predicted, kept = _entry_labels(targets, predictions), _kept(targets)
    return targets[kept], predicted[kept]


def _probabilities(targets: Array, predictions: Array) -> tuple[Array, Array]:
    """Probabilities (M, C) and actual classes (M,) of all entries that count."""
    if targets.dtype.kind not in "ui" or predictions.shape[:-1] != targets.shape:
        raise ValueError(
            f"targets are {targets.dtype} {targets.shape} and predictions {predictions.shape}; "
            "this metric needs class numbers and a probability of each class"
        )
    kept = _kept(targets)
    chances, actual = predictions[kept].astype(np.float64), targets[kept]
    if (chances < 0).any() or (chances > 1 + 1e-3).any():
        raise ValueError("predictions are no probabilities: they leave 0 to 1; end predict() in a softmax")
    if actual.max() >= chances.shape[-1]:
        raise ValueError(f"class number {actual.max()} has no probability: there are {chances.shape[-1]}")
    return chances, actual


def _nats(targets: Array, predictions: Array) -> tuple[NDArray[np.float64], Array]:
    """Nats of each entry in the targets' shape, from probabilities or as `score` gives them; and which count."""
    kept = _kept(targets)
    if predictions.shape == targets.shape:
        given = predictions.astype(np.float64)
        if (given[kept] < 0).any():
            raise ValueError("predictions in the targets' shape are nats a token, and some of these are below 0")
        return given, kept
    _probabilities(targets, predictions)  # raises what is wrong
    chosen = np.take_along_axis(predictions, np.where(kept, targets, 0)[..., None], axis=-1)[..., 0]
    return -np.log(np.clip(chosen.astype(np.float64), SMALLEST, 1.0)), kept


def _each(entries: Array, kept: Array) -> NDArray[np.float64]:
    """Mean over the entries of each example that count, (N,); 0 where none does."""
    flat, counts = (each.reshape(len(each), -1).astype(np.float64) for each in (np.where(kept, entries, 0), kept))
    return np.asarray(flat.sum(axis=1) / np.maximum(counts.sum(axis=1), 1), dtype=np.float64)


def _values(targets: Array, predictions: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if predictions.shape != targets.shape:
        raise ValueError(f"predictions of shape {predictions.shape} do not fit targets of shape {targets.shape}")
    return targets.astype(np.float64), predictions.astype(np.float64)


METRICS = {
    "accuracy": {
        "function": accuracy,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "balanced_accuracy": {
        "function": balanced_accuracy,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "macro_f1": {
        "function": macro_f1,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "micro_f1": {
        "function": micro_f1,
        "direction": "maximize",
        "min_effect": 0.005,
        "worst": 0.0,
        "per_example": correct,
    },
    "auroc": {"function": auroc, "direction": "maximize", "min_effect": 0.005, "worst": 0.0},
    "log_loss": {"function": log_loss, "direction": "minimize", "min_effect": 0.01, "per_example": nats},
    "ece": {"function": ece, "direction": "minimize", "min_effect": 0.005, "worst": 1.0},
    "mae": {"function": mae, "direction": "minimize", "per_example": absolute_error},
    "rmse": {"function": rmse, "direction": "minimize", "per_example": absolute_error},
    "r2": {"function": r2, "direction": "maximize", "min_effect": 0.01},
    "nats_per_token": {"function": nats_per_token, "direction": "minimize", "min_effect": 0.01, "per_example": nats},
    "iou": {"function": iou, "direction": "maximize", "min_effect": 0.005, "worst": 0.0, "per_example": correct},
}

#: deciding metric → others that are shown beside it
BESIDE = {
    "accuracy": ("balanced_accuracy", "macro_f1", "log_loss"),
    "balanced_accuracy": ("accuracy", "macro_f1", "log_loss"),
    "macro_f1": ("accuracy", "balanced_accuracy", "log_loss"),
    "micro_f1": ("macro_f1", "balanced_accuracy", "log_loss"),
    "auroc": ("accuracy", "balanced_accuracy", "log_loss"),
    "log_loss": ("accuracy", "ece"),
    "ece": ("accuracy", "log_loss"),
    "mae": ("rmse", "r2"),
    "rmse": ("mae", "r2"),
    "r2": ("mae", "rmse"),
    "nats_per_token": ("accuracy",),
    "iou": ("accuracy",),
}
