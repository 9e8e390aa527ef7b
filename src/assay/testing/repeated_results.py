"""What comes out twice: examples, weights, predictions, metrics. And what lies in two parts, where it may lie in one.

Covers: comparing. Not covered: doing it twice (`testing.contract`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.data import storage, train_test_split
from assay.data.storage import Examples
from assay.metrics.scored_arm import Ruler
from assay.metrics.task_metrics import Metric
from assay.runtime import files
from assay.training import random_streams

#: file that a replicate's predictions are written to
PREDICTED = "predictions.npy"


def of_prepare(first: Examples, second: Examples | None) -> Iterator[UsageError]:
    """Examples that `prepare()` gives once and not twice, by their ids."""
    if second is None or len(second) != len(first):
        count = 0 if second is None else len(second)
        yield UsageError(f"prepare() gives {len(first)} examples, and {count} the second time", allowed="the same")
        return
    other = np.flatnonzero(first.ids != second.ids)
    if len(other):
        moved = np.isin(second.ids, first.ids).all()
        yield UsageError(
            f"prepare() gives {'another order' if moved else 'other examples'} the second time: {len(other)} of "
            f"{len(first)} ids differ, the first at row {other[0]}",
            allowed="the same ids in the same order",
            hint="seed what prepare() draws, and sort what it lists: numpy.random.default_rng(0), sorted(…)",
        )


def in_two_parts(everything: Examples, where: NDArray[np.str_]) -> Iterator[UsageError]:
    """Inputs and groups in two parts. By content there are none; where rows stand in an order, copies may be."""
    found = train_test_split.report(everything, where, storage.input_keys(everything))
    for pair, shared in found["overlap"].items():
        for what, count in shared.items():
            if count:
                yield UsageError(
                    f"{count} {what} lie in both {pair.replace('-', ' and ')}",
                    allowed="each in one part",
                    hint="drop copies in prepare(), or set split.by: content in params.yaml",
                )


def trained(folder: Path) -> dict[str, str]:
    """Name → hash of each file that a training left in `folder`: weights, and predictions."""
    paths = [*sorted((folder / "models").glob("*.safetensors")), folder / "predictions" / PREDICTED]
    return {path.name: files.digest(path.read_bytes()) for path in paths}


def of_training(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[UsageError]:
    """Weights, or predictions alone, that differ between two trainings of one replicate."""
    other = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
    if other:
        yield UsageError(
            f"training one replicate twice gives other {'predictions' if other == [PREDICTED] else 'weights'} "
            "the second time",
            allowed="the same bits from the same seed",
            hint="draw from torch's global generator, or the one that augment() is given; sort sets",
        )


def of_metric(ruler: Ruler, metric: Metric, made: NDArray[np.float32]) -> Iterator[UsageError]:
    """A metric that draws by chance, or that changes what it is given."""
    if metric.beside:  # shown only where it applies
        return
    values, kept = [], made.copy()
    for seed in (1, 2):
        random_streams.seed_globals(seed)
        values.append(ruler.score(metric, made, "the replicate"))
    if not np.array_equal(made, kept, equal_nan=True):
        yield UsageError(f"metric {metric.name} changes the predictions that it is given", allowed="arrays of its own")
    elif values[0] != values[1]:
        yield UsageError(
            f"metric {metric.name} gives {values[0]:.6g}, and {values[1]:.6g} the second time",
            allowed="the same number for the same predictions",
            hint="seed what it draws: numpy.random.default_rng(0)",
        )


def ready_metric(examples: Examples) -> str:
    """Name of a ready metric for targets of this kind."""
    if examples.kind == "tokens":
        return "nats_per_token"
    if examples.classes is not None:
        return "iou" if examples.targets.ndim > 2 else "accuracy"
    return "mae"
