"""What `evaluate` leaves behind for people, Git and `dvc plots`: CSV text and the flat metrics."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.sanitize_output import csv_cell
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.task_metrics import Metric, per_example

Array = NDArray[Any]
#: what a column says that stands there for this alone
YES = "true"
#: validation over training examples of a split: column and field where each replicate has one
OVERLAP = "split_overlap"
#: class of machine that trained a replicate: column where classes are blocks
BLOCK = "machine_class"

#: letters of an id beside a name
_SHORT = 6
#: bins of the reliability diagram; fifteen is what Guo et al. (ICML 2017, section 3) use
BINS = 15


def text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with Unix line ends, the same on every system; no cell means anything to a page or a spreadsheet."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[csv_cell(value) for value in row] for row in rows])
    return stream.getvalue()


def replicate_rows(arm: Scored, common: Mapping[str, object], metrics: Sequence[str]) -> list[dict[str, object]]:
    """One row a replicate, for results/replicates.csv. `same_as`: an earlier one with the same predictions."""
    blocks = arm.arm.environment.blocks(one.number for one in arm.replicates)
    return [
        {
            "arm": arm.arm.arm,
            "strategy": arm.arm.name,
            "identity": arm.identity,
            "replicate": replicate.number,
            "seed": replicate.seed,
            "status": "diverged" if replicate.diverged else "ok",
            **common,
            "environment": arm.arm.environment.key,
            **({BLOCK: blocks[replicate.number]} if blocks else {}),
            "execution": replicate.execution,
            "same_as": arm.same_as.get(replicate.number, ""),
            **{name: found.get(name, "") for name in metrics},
        }
        for replicate, found in zip(arm.replicates, arm.scores, strict=True)
    ]


def rulers(metrics: Mapping[str, Metric], versions: Mapping[str, str], packages: str, unseen: str) -> str:
    """results/rulers.csv: one row for each metric with a version, so that none is read by another one's ruler.

    `packages` that the metrics import, with their versions; `unseen` are files that they read and no version covers.
    """
    rows = [
        (name, versions[name], one.direction, one.min_effect, "" if one.worst is None else one.worst, packages, unseen)
        for name, one in metrics.items()
        if name in versions
    ]
    return text(["metric", "key", "direction", "min_effect", "worst", "packages", "unseen"], rows)


def shares(arm: Scored, ruler: Ruler) -> NDArray[np.float64]:
    """Scores (R, N) of single examples, for the replicates that did not diverge."""
    who = f"the {arm.arm.arm}"
    return np.stack([per_example(ruler.metric, ruler.targets, row, who) for row in arm.finite])


def cases(
    ids: NDArray[np.str_],
    targets: Any,
    baseline: NDArray[np.float64],
    candidate: NDArray[np.float64],
    names: Callable[[int], str] | None = None,
) -> str:
    """Examples whose mean score over replicates changed, most changed first; ties in order of id.

    `names`: row of an example → what people call it, "" for its id alone.
    """
    change = candidate - baseline
    rows = sorted(np.flatnonzero(change != 0), key=lambda row: (-abs(change[row]), str(ids[row])))
    shown = targets if np.ndim(targets) == 1 else [""] * len(ids)
    return text(
        ["id", "target", "baseline", "candidate", "change", "name"],
        [
            (
                ids[row],
                shown[row],
                f"{baseline[row]:.4f}",
                f"{candidate[row]:.4f}",
                f"{change[row]:+.4f}",
                f"{names(int(row)) if names else ''} {str(ids[row])[:_SHORT]}".strip(),
            )
            for row in rows
        ],
    )


def confusion(targets: Array, predictions: Array, classes: Sequence[str]) -> str:
    """Actual and predicted class of each example, by the mean over replicates; for DVC's confusion template."""
    predicted = predictions.mean(axis=0).argmax(axis=1)
    return text(["actual", "predicted"], [(classes[a], classes[p]) for a, p in zip(targets, predicted, strict=True)])


def reliability(targets: Array, arms: Mapping[str, Array]) -> str:
    """Confidence against accuracy in equal bins of confidence, one line an arm, pooled over replicates."""
    rows: list[tuple[object, ...]] = []
    for name, predictions in arms.items():
        confidence = predictions.max(axis=2).ravel()
        right = (predictions.argmax(axis=2) == targets).ravel()
        bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
        for number in np.unique(bins):
            inside = bins == number
            rows.append((name, f"{confidence[inside].mean():.4f}", f"{right[inside].mean():.4f}", int(inside.sum())))
    return text(["arm", "confidence", "accuracy", "count"], rows)
