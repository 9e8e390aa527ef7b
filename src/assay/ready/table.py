"""A ready task: a table in a CSV or Parquet file, of numbers and categories, some of them missing.

    from assay.ready.table import loss, model, prepare, preprocess, statistics, transform

in task.py, with `metric.name: macro_f1`, or `mae`; whatever is written there under one of these names stands instead.
`data:` in params.yaml has `file`, `target` and what else prepare() takes, `model:` has `hidden` and `dropout`.

Means, spreads and the categories that a model knows are those of the training part alone (`transform`). So are mean and
spread of values to predict, in which the model's outputs are counted (`ready.target_scale`).
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

from assay.core import pyarrow_package as arrow
from assay.core.errors import UsageError
from assay.ready import table_file
from assay.ready.target_scale import TargetScale

#: kinds of cells
NUMBER, MISSING, CATEGORY = 0.0, 1.0, 2.0
#: places of categories that are missing, and of those that the training part does not have
EMPTY, UNSEEN = 0, -1
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
    delimiter: str = ",",
    unusable: float = 0.01,
) -> dict[str, Any]:
    """The table without the column `target`, and that column.

    `kind` is classification, regression, or auto: by the column. `id` names a column that must not repeat, `group` what
    stays in one part, `order` a time to split by, `drop` columns that no model sees. A share of up to `unusable` rows
    may be ragged, repeat, or lack a label, an id, a group or an order: these are left out, counted, and the first is
    named by its line in the file.
    """
    if kind not in ("auto", "classification", "regression"):
        raise UsageError(f"data.kind is {kind!r}", allowed="auto, classification, regression")
    table, lost = table_file.read(Path(file), unusable, delimiter)
    targets, classes, kept = table_file.labels(table, target, kind, lost)
    if id:
        kept &= table_file.unique_ids(table, id, lost)
    for what, name in (("group", group), ("order", order)):
        if name:
            kept &= table_file.known(table, name, what, lost)
    for name in drop:
        table_file.named(table, name, "data.drop", file)
    for sentence in lost.sentences():
        sys.stdout.write(f"prepare: {sentence}\n")
    apart = {target, id, group, order, *drop}
    columns = [name for name in table.column_names if name not in apart]
    if not columns:
        raise UsageError(f"{file} has no column beside {', '.join(sorted(apart - {''}))}", allowed="at least one")
    found: dict[str, Any] = {"targets": targets[kept], "classes": classes}
    for key, name in (("groups", group), ("order", order)):
        if name:
            column = table_file.named(table, name, f"data.{key}", file)
            if key == "order" and arrow.pyarrow.types.is_string(column.type):
                raise UsageError(f"{file}: column {name!r}, the order, is text", allowed="numbers or dates")
            found[key] = column.to_numpy(zero_copy_only=False)[kept]
    usable = table.select(columns)
    if not kept.all():
        usable = usable.filter(arrow.pyarrow.array(kept))
    _say_endless(usable, file)
    return {"inputs": arrow.pyarrow.table({name: _plain(usable[name]) for name in columns}), **found}


def _say_endless(table: Any, file: str) -> None:
    """Print which columns hold infinity, as that is taken for a gap."""
    for name in table.column_names:
        if arrow.pyarrow.types.is_floating(table[name].type):
            count = arrow.compute.sum(arrow.compute.is_inf(table[name])).as_py() or 0
            if count:
                sys.stdout.write(f"prepare: {count} of {len(table)} values in column {name!r} of {file} are infinite")
                sys.stdout.write(", and count as missing\n")


def _plain(column: Any) -> Any:
    """A column as numbers, times or text; numbers that are not finite are gaps."""
    types, lib = arrow.pyarrow.types, arrow.pyarrow
    if types.is_floating(column.type) or types.is_decimal(column.type):
        numbers = column.cast(lib.float64())
        return arrow.compute.if_else(arrow.compute.is_finite(numbers), numbers, lib.scalar(None, lib.float64()))
    if types.is_integer(column.type):
        return column
    if types.is_timestamp(column.type) or types.is_date(column.type):
        return column.cast(lib.timestamp("us"))
    return column.cast(lib.string())


class TableEncoder:
    """A transformer: cells (N, columns, 2), each a value and its kind.

    Numbers and times are standardised. A category is its place by how often it is there, of equals by name, from 1.
    """

    def fit(self, frame: Any) -> TableEncoder:
        self.rules = {name: _rule(frame[name]) for name in frame.columns}
        return self

    def transform(self, frame: Any) -> NDArray[np.float32]:
        made = np.empty((len(frame), len(self.rules), 2), dtype=np.float32)
        for place, (name, rule) in enumerate(self.rules.items()):
            gaps = frame[name].isna().to_numpy()
            if isinstance(rule, dict):
                made[:, place, 0] = np.where(gaps, EMPTY, frame[name].map(rule).fillna(UNSEEN).to_numpy(dtype=float))
                made[:, place, 1] = CATEGORY
            else:
                mean, spread = rule
                made[:, place, 0] = np.where(gaps, 0.0, (_numbers(frame[name]) - mean) / spread)
                made[:, place, 1] = np.where(gaps, MISSING, NUMBER)
        return made


def _rule(column: Any) -> dict[str, int] | tuple[float, float]:
    """Places of the categories of a column, or mean and spread of its numbers."""
    if column.dtype.kind not in "iufM":
        counts = sorted(((-count, str(name)) for name, count in column.value_counts().items()))[:MOST_CATEGORIES]
        return {name: place for place, (_, name) in enumerate(counts, EMPTY + 1)}
    numbers = _numbers(column)[~column.isna().to_numpy()]
    spread = float(numbers.std()) if len(numbers) else 0.0
    return (float(numbers.mean()) if len(numbers) else 0.0, spread or 1.0)


def _numbers(column: Any) -> NDArray[np.float64]:
    """Numbers; of times their distance from 1970 in whatever unit, as they are standardised. Gaps mean nothing."""
    return np.asarray(column.to_numpy(), dtype=np.float64)


def transform() -> TableEncoder:
    """What is fitted on the training part alone."""
    return TableEncoder()


def statistics(inputs: Tensor) -> dict[str, Tensor]:
    """Places of each column's categories; 0 for a column of numbers."""
    places = torch.where(inputs[..., 1] == CATEGORY, inputs[..., 0] + 1, torch.zeros_like(inputs[..., 0]))
    return {"levels": places.amax(0).long()}


def preprocess(inputs: Tensor, statistics: dict[str, Tensor]) -> Tensor:
    """(N, D) numbers around 0: a standardised number and whether it is missing, or a place for each known category.

    One that the training part has not seen is in no place.
    """
    return torch.cat([*_columns(inputs[..., 0], inputs[..., 1], statistics["levels"].tolist())], dim=1)


def _columns(values: Tensor, kinds: Tensor, levels: list[int]) -> Iterator[Tensor]:
    numbers = [place for place, count in enumerate(levels) if not count]
    yield values[:, numbers]
    yield (kinds[:, numbers] == MISSING).float()
    for place, count in enumerate(levels):
        if count:
            yield (values[:, place, None] == torch.arange(count, device=values.device)).float()


def model(shape: tuple[int, ...], outputs: int, *, hidden: int = 64, dropout: float = 0.1) -> nn.Module:
    """Two hidden layers; a single output is a value, in the units of the targets."""
    layers = nn.Sequential(
        nn.Linear(shape[0], hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )
    return layers.append(TargetScale(outputs)) if outputs == 1 else layers


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of classes, in nats; for values their mean squared error."""
    if targets.is_floating_point():
        error: Tensor = outputs.reshape(targets.shape) - targets
        return error.square().mean()
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
