"""What a mask hides is no value: each place where NumPy would drop the mask names the first masked entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from assay import compare
from assay.core.errors import UsageError
from assay.data.validate_examples import canonical
from assay.metrics import task_metrics

MASKED = np.ma.array([0.1, 0.2, 99.0], mask=[0, 0, 1])
INPUTS, TARGETS = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize("values", [MASKED, [0.1, 0.2, np.ma.masked], (0.1, 0.2, MASKED[2]), list(MASKED)])
def test_compare(values: Any) -> None:
    with pytest.raises(UsageError, match=r"^replicate 3 of baseline is masked; .*next: leave it out and count it as"):
        compare(values, [0.1, 0.2, 0.3], "maximize")
    with pytest.raises(UsageError, match=r"^replicate 3 of candidate is masked"):
        compare([0.1, 0.2, 0.3], values, "maximize")


def test_compare_takes_a_mask_that_hides_nothing() -> None:
    assert compare(np.ma.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]) == compare([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    with pytest.raises(UsageError, match=r"^replicate 1 of baseline is masked"):
        compare(np.ma.masked, [0.1, 0.2, 0.3])


def hidden(array: np.ndarray, *place: int) -> np.ma.MaskedArray:
    made = np.ma.array(array)
    made[place] = np.ma.masked
    return made


PREPARED: list[tuple[Mapping[str, Any], str]] = [
    ({"inputs": hidden(INPUTS, 4, 1), "targets": TARGETS}, "the input of example 4 is masked"),
    ({"inputs": list(hidden(INPUTS, 2)), "targets": TARGETS}, "the input of example 2 is masked"),
    ({"inputs": INPUTS, "targets": hidden(TARGETS, 3), "classes": ["a", "b"]}, "the target of example 3 is masked"),
    ({"inputs": INPUTS, "targets": TARGETS, "groups": hidden(TARGETS, 5)}, "the group of example 5 is masked"),
]


@pytest.mark.parametrize(("raw", "said"), PREPARED, ids=[said for _, said in PREPARED])
def test_prepare(raw: Mapping[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=rf"^data\.py: {said}; allowed: .*; next: fill or drop such examples"):
        canonical(raw, "data.py")


def test_prepare_takes_a_mask_that_hides_nothing() -> None:
    plain, masked = canonical({"inputs": INPUTS, "targets": TARGETS}, "d"), np.ma.array(INPUTS)
    assert np.array_equal(canonical({"inputs": masked, "targets": TARGETS}, "d").ids, plain.ids)


def test_scores_of_examples() -> None:
    metric = task_metrics.Metric("m", lambda _, __: 0.5, "maximize", per_example=lambda _, __: hidden(INPUTS[:, 0], 2))
    with pytest.raises(UsageError, match="per_example of metric m masks example 2 for me"):
        task_metrics.per_example(metric, TARGETS, INPUTS, "me")
