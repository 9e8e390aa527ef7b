"""Floors of token sequences: how well counts of single tokens, and of pairs, predict the next one.

Covers: nats of each next token under both, from the training part. Not covered: other floors
(`baseline.trivial_baselines`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.data.storage import Examples, arrow

Nats = NDArray[np.float32]
Array = NDArray[np.float64]
Tokens = NDArray[np.int64]

#: a pair's frequency is trusted as if its first token had been seen so many times more, followed by the unigram
PRIOR = 10.0


def applies(train: Examples) -> bool:
    """Whether each example is a sequence whose every entry is a token to predict.

    prepare() says so by `kind`; inputs of whole numbers in the targets' shape say so themselves.
    """
    if not train.classes or train.targets.ndim != 2:
        return False
    return train.kind == "tokens" or (not train.kind and _are_ids(train) and train.inputs.dtype != np.uint8)


def floors(train: Examples, evaluated: Examples) -> dict[str, Nats]:
    """Name → nats (N, T) of each target token; 0 where it is padding."""
    classes = len(train.classes or ())
    targets = train.targets.astype(np.int64)
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    chances = (counts + 1) / (counts.sum() + classes)
    found = {"unigram": _nats(chances[np.maximum(evaluated.targets.astype(np.int64), 0)], evaluated)}
    if not absent(train):
        found["bigram"] = _nats(_after(train, evaluated, chances), evaluated)
    return found


def absent(train: Examples) -> dict[str, str]:
    """Why there is no bigram, where there is none."""
    if _are_ids(train):
        return {}
    return {"bigram": "inputs are not the token before each target, as whole numbers in the targets' shape"}


def _are_ids(train: Examples) -> bool:
    return arrow(train.inputs) is None and train.inputs.dtype.kind in "ui" and train.inputs.shape == train.targets.shape


def _after(train: Examples, evaluated: Examples, chances: Array) -> Array:
    """Chance of each evaluated token after the one before it, (N, T)."""
    classes = len(chances)
    first, second = _pairs(train)
    seen, times = np.unique(first * classes + second, return_counts=True)
    starts = np.bincount(first, minlength=int(max(first.max(initial=0), evaluated.inputs.max(initial=0))) + 1)
    before, after = (np.maximum(each.astype(np.int64), 0) for each in (evaluated.inputs, evaluated.targets))
    wanted = before * classes + after
    place = np.minimum(np.searchsorted(seen, wanted), max(0, len(seen) - 1))
    together = np.where(seen[place] == wanted, times[place], 0) if len(seen) else np.zeros(wanted.shape)
    found: Array = (together + PRIOR * chances[after]) / (starts[before] + PRIOR)
    return found


def _pairs(part: Examples) -> tuple[Tokens, Tokens]:
    first, second = part.inputs.astype(np.int64).ravel(), part.targets.astype(np.int64).ravel()
    kept = (first >= 0) & (second >= 0)
    return first[kept], second[kept]


def _nats(chances: Array, evaluated: Examples) -> Nats:
    return np.where(evaluated.targets.astype(np.int64) >= 0, -np.log(chances), 0.0).astype(np.float32)
