"""A ready task: a table in a CSV or Parquet file, of numbers and categories, some of them missing.

    from assay.ready.table import loss, model, prepare, preprocess, statistics

in task.py, with `metric.name: macro_f1`, or `mae`; whatever is written there under one of these names stands instead.
`data:` in params.yaml has `file`, `target` and what else prepare() takes, `model:` has `hidden` and `dropout`.

Means, spreads and the categories that a model knows are those of the training part alone (`statistics`). So prepare()
keeps a table as it is: each cell is a value and its kind, as nothing about the other rows may change it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.ready import arrow_package as arrow
from assay.ready import table_file

#: kinds of cells
NUMBER, MISSING, CATEGORY = 0.0, 1.0, 2.0
#: categories of a column that a model tells apart: the most frequent ones in the training part
MOST_CATEGORIES = 64


def prepare(
    *,
    file: str,
    target: str,
    kind: str = "auto",
    id: str = "",
    group: str = "",
    order: str = "",
    drop: tuple[str, ...] | list[str] = (),
    unusable: float = 0.01,
) -> dict[str, Any]:
    """Cells (N, columns, 2), each a value and its kind, and the column `target`.

    `kind` is classification, regression, or auto: by the column. `id` names a column that must not repeat, `group` what
    stays in one part, `order` a time to split by, `drop` columns that no model sees. A share of up to `unusable` rows
    may be ragged, without a label or a repeat: these are left out, counted, and the first is named.
    """
    if kind not in ("auto", "classification", "regression"):
        raise UsageError(f"data.kind is {kind!r}", allowed="auto, classification, regression")
    table, lost = table_file.read(Path(file), unusable)
    targets, classes, kept = table_file.labels(table, target, kind, lost)
    if id:
        kept &= table_file.unique_ids(table, id, lost)
    for sentence in lost.sentences():
        sys.stdout.write(f"prepare: {sentence}\n")
    apart = {target, id, group, order, *drop}
    columns = [name for name in table.column_names if name not in apart]
    if not columns:
        raise UsageError(f"{file} has no column beside {', '.join(sorted(apart - {''}))}", allowed="at least one")
    cells = np.stack([_cells(table[name]) for name in columns], axis=1)[kept]
    found: dict[str, Any] = {"inputs": cells, "targets": targets[kept], "classes": classes}
    for key, name in (("groups", group), ("order", order)):
        if name:
            found[key] = table_file.named(table, name, f"data.{key}", file).to_numpy(zero_copy_only=False)[kept]
    return found


def _cells(column: Any) -> NDArray[np.float64]:
    """(N, 2) of one column: numbers as they are, others as the place of their name among all names, sorted."""
    types, made = arrow.pyarrow.types, np.zeros((len(column), 2))
    there = column.is_valid().to_numpy()
    if types.is_integer(column.type) or types.is_floating(column.type):
        numbers = column.to_numpy().astype(np.float64)
        there &= np.isfinite(numbers)
        made[:, 0], made[:, 1] = np.where(there, numbers, 0), np.where(there, NUMBER, MISSING)
        return made
    if types.is_temporal(column.type):
        seconds = column.cast(arrow.pyarrow.timestamp("us")).cast(arrow.pyarrow.int64()).to_numpy().astype(np.float64)
        made[:, 0], made[:, 1] = np.where(there, seconds / 1e6, 0), np.where(there, NUMBER, MISSING)
        return made
    encoded = column.cast(arrow.pyarrow.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, arrow.pyarrow.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=str)
    place = np.argsort(np.argsort(names, kind="stable"), kind="stable")
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    made[:, 0] = np.where(there, place[codes] if len(names) else 0, -1)
    made[:, 1] = CATEGORY
    return made


def statistics(inputs: Tensor) -> dict[str, Tensor]:
    """Of the training part alone: mean and spread of numbers, the most frequent categories of each column."""
    values, kinds = inputs[..., 0].double(), inputs[..., 1]
    there = kinds == NUMBER
    count = there.sum(0).clamp(min=1)
    mean = (values * there).sum(0) / count
    spread = ((((values - mean) * there) ** 2).sum(0) / count).sqrt()
    levels = [_frequent(column[kind == CATEGORY]) for column, kind in zip(values.T, kinds.T, strict=True)]
    width = max(1, max(len(one) for one in levels))
    known = torch.full((len(levels), width), -2.0, dtype=torch.float64)
    for row, one in zip(known, levels, strict=True):
        row[: len(one)] = one
    return {"mean": mean, "sd": torch.where(spread > 0, spread, torch.ones_like(spread)), "levels": known}


def _frequent(codes: Tensor) -> Tensor:
    """Categories by how often they are there, of equals the first by name; -1 is an empty cell."""
    seen, counts = torch.unique(codes, return_counts=True)
    ordered: Tensor = seen[torch.argsort(counts, descending=True, stable=True)]
    return ordered[:MOST_CATEGORIES]


def preprocess(inputs: Tensor, statistics: dict[str, Tensor]) -> Tensor:
    """(N, D) numbers around 0: a standardised number and whether it is missing, or a place for each known category.

    One that the training part has not seen is in no place.
    """
    return torch.cat([*_columns(inputs[..., 0].double(), inputs[..., 1], statistics)], dim=1).float()


def _columns(values: Tensor, kinds: Tensor, statistics: dict[str, Tensor]) -> Iterator[Tensor]:
    there = kinds == NUMBER
    yield torch.where(there, (values - statistics["mean"]) / statistics["sd"], torch.zeros_like(values))
    yield (kinds == MISSING).double()
    for column, kind, levels in zip(values.T, kinds.T, statistics["levels"], strict=True):
        known = levels[levels > -2]
        if len(known):
            yield ((column[:, None] == known) & (kind[:, None] == CATEGORY)).double()


def model(shape: tuple[int, ...], outputs: int, *, hidden: int = 64, dropout: float = 0.1) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(shape[0], hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of classes, in nats; for values their mean squared error."""
    if targets.is_floating_point():
        error: Tensor = outputs.reshape(targets.shape) - targets
        return error.square().mean()
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
