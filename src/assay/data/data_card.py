"""The data card: what a person wants to know about a data set before believing a number made from it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from assay.data import column_statistics, content_hash
from assay.data.storage import Examples, arrow, input_keys
from assay.runtime.example_ids import Keys


def card(examples: Examples) -> dict[str, Any]:
    """Counts, shapes, ranges, labels and exact duplicates, as plain JSON values."""
    keys, stored = input_keys(examples), arrow(examples.inputs)
    return {
        "schema": 1,
        "examples": len(examples),
        "inputs": _inputs(examples),
        "targets": _array(examples.targets) | ({"labels": labels(examples)} if examples.classes else {}),
        "groups": None if examples.groups is None else len(np.unique(examples.groups)),
        "exact_duplicates": duplicates(keys),
        "duplicates_with_other_target": _conflicting(keys, content_hash.row_keys(examples.targets)),
        "missing_nan_inf": 0 if stored is None else _arrow_card().missing(stored),  # others than a table's were refused
    }


def labels(examples: Examples) -> dict[str, int]:
    """How many examples each class has; in sequences and masks how many entries."""
    return label_counts(examples.targets, examples.classes or ())


def label_counts(targets: np.ndarray[Any, Any], classes: tuple[str, ...]) -> dict[str, int]:
    """Name of each class → how many of `targets` (N, …) are its number, padding left out."""
    flat = targets.astype(np.int64).ravel()
    counts = np.bincount(flat[flat >= 0], minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=True)}


def duplicates(keys: Keys) -> int:
    """How many examples have the key of an earlier one."""
    return len(keys) - len(np.unique(keys))


def _inputs(examples: Examples) -> dict[str, Any]:
    stored = arrow(examples.inputs)
    found: dict[str, Any] = _array(examples.inputs) if stored is None else _arrow_card().described(stored)
    return found


def _arrow_card() -> Any:
    return importlib.import_module("assay.data.arrow_card")


def _array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    found = column_statistics.statistics(array)
    mean, spread = found.overall()
    return {
        "shape": list(array.shape[1:]),
        "dtype": str(array.dtype),
        "min": float(found.low.min()),
        "max": float(found.high.max()),
        "mean": mean,
        "sd": spread,
        "constant_features": int((found.low == found.high).sum()),
    }


def _conflicting(inputs: Keys, targets: Keys) -> int:
    """Inputs that appear more than once with different targets: noise that no model can learn."""
    _, which = np.unique(inputs, return_inverse=True)
    pairs = np.unique(np.stack([which, np.unique(targets, return_inverse=True)[1]]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())
