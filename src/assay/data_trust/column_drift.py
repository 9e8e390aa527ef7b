"""How the columns of two parts differ, with their names: means of numbers, shares of categories, balance of classes.

A shift of a mean is in standard deviations, with a z test; shares by their total variation, with a chi-square test.
Both at 0.1 % over all columns together (Bonferroni), since nobody looks for drift in one column. Not covered: relations
between columns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from assay.data.column_statistics import ColumnStatistics
from assay.data.column_statistics import statistics as column_statistics
from assay.data.data_card import label_counts
from assay.data.storage import Examples, arrow
from assay.data_trust.examples_of_all_parts import PartedExamples

#: level over all columns, and levels of a category that are looked at
LEVEL, MOST_LEVELS = 0.001, 1_000


@dataclass(frozen=True)
class ColumnShift:
    """`column` of `part` against the training part. `shift`: of the mean in sd, or total variation of shares."""

    column: str
    part: str
    kind: str  # mean, shares
    shift: float
    p: float  # adjusted over all columns


def balance(examples: PartedExamples) -> dict[str, dict[str, int]]:
    """Class → part → examples (entries, for masks and sequences); nothing for values and several targets."""
    if examples.classes is None:
        return {}
    counts = {name: label_counts(part.targets, examples.classes) for name, part in examples.parts.items()}
    return {label: {name: found[label] for name, found in counts.items()} for label in examples.classes}


def shifts(examples: PartedExamples) -> list[ColumnShift]:
    """Columns that drifted between the training part and another one, the largest shift first."""
    train = examples.parts["train"]
    found = [one for name, part in examples.parts.items() if name != "train" for one in _shifts(train, part, name)]
    adjusted = [ColumnShift(one.column, one.part, one.kind, one.shift, min(1.0, one.p * len(found))) for one in found]
    return sorted((one for one in adjusted if one.p < LEVEL), key=lambda one: (-abs(one.shift), one.column, one.part))


def _shifts(train: Examples, part: Examples, name: str) -> Iterator[ColumnShift]:
    columns = column_names(train)
    if columns is not None:
        first, second = statistics(train), statistics(part)
        spread = first.merged(second).spread
        apart = np.where(spread > 0, (second.mean - first.mean) / np.where(spread > 0, spread, 1.0), 0.0)
        unit = math.sqrt(1 / first.count + 1 / second.count)
        for column, shift in zip(columns, apart.tolist(), strict=True):
            yield ColumnShift(column, name, "mean", round(shift, 4), _two_sided(shift / unit))
    if (stored := arrow(train.inputs)) is not None and stored.form == "table":
        other: Any = arrow(part.inputs)
        for column in (one for one in stored.columns if one not in stored.numeric):
            yield from _share(column, name, stored.table.column(column), other.table.column(column))
    if train.classes is not None:
        counts = [label_counts(one.targets, train.classes) for one in (train, part)]
        yield _of_counts("the classes", name, *counts)


def _share(column: str, part: str, first: Any, second: Any) -> Iterator[ColumnShift]:
    counts = [
        Counter({str(one["values"]): int(one["counts"]) for one in side.value_counts().to_pylist()})
        for side in (first, second)
    ]
    if len(counts[0]) <= MOST_LEVELS:
        yield _of_counts(column, part, *counts)


def _of_counts(column: str, part: str, first: Mapping[str, int], second: Mapping[str, int]) -> ColumnShift:
    """Total variation of shares, and the chi-square test of two rows of counts."""
    names = sorted({*first, *second})
    table = np.array([[side.get(name, 0) for name in names] for side in (first, second)], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    totals = table.sum(axis=1, keepdims=True)
    expected = totals * table.sum(axis=0) / max(table.sum(), 1.0)
    chi = float((np.square(table - expected) / np.maximum(expected, 1e-9)).sum())
    shares = table / np.maximum(totals, 1.0)
    p = float(special.gammaincc(max(table.shape[1] - 1, 1) / 2, chi / 2))
    return ColumnShift(column, part, "shares", round(float(np.abs(shares[0] - shares[1]).sum() / 2), 4), p)


def _two_sided(z: float) -> float:
    return float(2 * special.ndtr(-abs(z)))


def statistics(part: Examples) -> ColumnStatistics:
    """Of the columns of numbers, some rows at a time."""
    stored = arrow(part.inputs)
    return column_statistics(part.inputs) if stored is None else stored.statistics()


def column_names(part: Examples) -> Sequence[str] | None:
    """Names of the columns of numbers; `input 3`, or `input 3,4` where an example has several axes. None for others."""
    stored = arrow(part.inputs)
    if stored is not None:
        return stored.numeric if stored.form == "table" else None
    if part.kind == "tokens" or part.inputs.dtype.kind == "c":
        return None
    return [f"input {','.join(map(str, at))}" for at in np.ndindex(part.inputs.shape[1:])]


def ranges(examples: PartedExamples, most: int = 64) -> dict[str, dict[str, float]]:
    """Column → min, max, mean, sd in the training part; nothing where there are more columns than `most`."""
    train = examples.parts["train"]
    columns = column_names(train)
    if columns is None or len(columns) > most:
        return {}
    found = statistics(train)
    rows: Iterator[tuple[NDArray[np.float64], ...]] = zip(found.low, found.high, found.mean, found.spread, strict=True)
    return {
        name: dict(zip(("min", "max", "mean", "sd"), (float(value) for value in values), strict=True))
        for name, values in zip(columns, rows, strict=True)
    }
