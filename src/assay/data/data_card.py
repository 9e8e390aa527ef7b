"""The data card: what a person wants to know about a data set before believing a number made from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from assay.data.storage import Examples
from assay.data.validate_examples import content_keys


def card(examples: Examples) -> dict[str, Any]:
    """Counts, shapes, ranges, labels and exact duplicates, as plain JSON values."""
    repeats = Counter(content_keys(examples.inputs))
    conflicting = _conflicting(examples)
    return {
        "schema": 1,
        "examples": len(examples),
        "inputs": _array(examples.inputs),
        "targets": _array(examples.targets) | ({"labels": labels(examples)} if examples.classes else {}),
        "groups": None if examples.groups is None else len(np.unique(examples.groups)),
        "exact_duplicates": sum(count - 1 for count in repeats.values()),
        "duplicates_with_other_target": conflicting,
        "missing_nan_inf": 0,  # anything else was refused
    }


def labels(examples: Examples) -> dict[str, int]:
    """How many examples each class has; in sequences and masks how many entries."""
    targets = examples.targets.astype(np.int64).ravel()
    counts = np.bincount(targets[targets >= 0], minlength=len(examples.classes or ()))
    return {name: int(count) for name, count in zip(examples.classes or (), counts, strict=True)}


def _array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    flat = array.reshape(len(array), -1).astype(np.float64)
    return {
        "shape": list(array.shape[1:]),
        "dtype": str(array.dtype),
        "min": float(flat.min()),
        "max": float(flat.max()),
        "mean": float(flat.mean()),
        "sd": float(flat.std()),
        "constant_features": int((flat.min(axis=0) == flat.max(axis=0)).sum()),
    }


def _conflicting(examples: Examples) -> int:
    """Inputs that appear more than once with different targets: noise that no model can learn."""
    targets: dict[str, set[bytes]] = {}
    for key, target in zip(content_keys(examples.inputs), examples.targets, strict=True):
        targets.setdefault(key, set()).add(target.tobytes())
    return sum(len(found) > 1 for found in targets.values())
