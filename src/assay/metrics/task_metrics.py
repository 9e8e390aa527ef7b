"""The ruler: the metrics that a task defines, checked, and applied to predictions under watch for unseen files.

Covers: the METRICS table of a task's metrics.py, scoring replicates, per-example scores. Not covered: the
ruler's version (`metrics.version.version_key`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.params_yaml import MetricSection
from assay.metrics import undeclared_file_reads
from assay.ready import metrics as ready
from assay.stats.arm_scores import first_masked

Score = Callable[..., float]
Array = NDArray[Any]
_KEYS = ("function", "direction", "min_effect", "worst", "per_example")
#: columns of results/metrics.json and results/replicates.csv, which no metric can be named after
_FLAT = (
    "schema sd n diverged baseline delta ci_low ci_high p verdict metric_version profile commit unproven slices "
    "split_overlap"
)
_ROWS = "arm strategy identity replicate seed status direction min_effect worst environment execution"
RESERVED = frozenset([*_FLAT.split(), *_ROWS.split()])
#: it heads a column that spreadsheets and pages read
_NAME = re.compile(r"\w[\w ./@%()-]*")
_DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class Metric:
    """One metric. `min_effect` is the smallest difference that matters, in the metric's own units."""

    name: str
    function: Score  # (targets (N, …), predictions (N, …) or what score() kept of them) → number
    direction: str
    min_effect: float = 0.0
    worst: float | None = None  # what a diverged replicate counts as; None: it holds the verdict back
    per_example: Callable[[Any, Array], Array] | None = None  # → (N,) scores, whose mean may be the metric
    beside: bool = False  # shown beside the one that decides, and left out where it does not apply


def mean(targets: Any, scores: Array) -> float:
    """The metric of a task that keeps scores and names no function: their mean over examples."""
    return float(mean_of_each(targets, scores).mean())


def mean_of_each(targets: Any, scores: Array) -> NDArray[np.float64]:
    """The mean score (N,) of each example."""
    return np.asarray(scores.reshape(len(scores), -1).mean(axis=1, dtype=np.float64))


def read(module: object, where: str) -> dict[str, Metric]:
    """The metrics that `module` lists in METRICS. Raises UsageError naming the entry that is wrong."""
    table = getattr(module, "METRICS", None)
    if not isinstance(table, Mapping) or not table:
        raise UsageError(f"{where}: METRICS is {table!r}", allowed="a dict: name → dict with function, direction, …")
    if taken := sorted(RESERVED & set(map(str, table))):
        raise UsageError(f"{where}: METRICS has the name {taken[0]!r}", allowed="a name that no result has yet")
    if strange := [name for name in table if not _NAME.fullmatch(str(name))]:
        raise UsageError(
            f"{where}: METRICS has the name {strange[0]!r}", allowed="letters, digits, space, _ . - / @ % ()"
        )
    return {str(name): _metric(str(name), entry, f"{where}: METRICS[{name!r}]") for name, entry in table.items()}


def asked(module: object, given: MetricSection, where: str) -> dict[str, Metric]:
    """The metrics of a task as params.yaml asks for them: all in METRICS, or a ready one with those shown beside it.

    Raises UsageError for what METRICS gets wrong, and where it has no `metric.name`.
    """
    found = read(module, where)
    decides = chosen(found, given.name, where)
    if given.min_effect is not None:
        decides = replace(decides, min_effect=given.min_effect)
    if module is not ready:
        return {**found, given.name: decides}
    others = ready.BESIDE.get(given.name, ())
    return {given.name: decides} | {name: replace(found[name], beside=True) for name in others}


def revision(module: object, where: str) -> int:
    """REVISION, the number that a person raises; 1 where there is none."""
    found = getattr(module, "REVISION", 1)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise UsageError(f"{where}: REVISION is {found!r}", allowed="a whole number from 1")
    return found


def chosen(metrics: Mapping[str, Metric], name: str, where: str) -> Metric:
    if name not in metrics:
        raise UsageError(f"params.yaml: metric.name is {name!r}", allowed=f"{', '.join(metrics)} (METRICS in {where})")
    return metrics[name]


def score(metric: Metric, options: Mapping[str, Any], targets: Any, predictions: Array, who: str) -> float:
    """One number for one replicate. Raises UsageError when it is not a finite number."""
    with undeclared_file_reads.watching(), _said(metric, who):
        value = metric.function(targets, predictions, **options)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise UsageError(f"metric {metric.name} gives {value!r} for {who}", allowed="a finite number")
    return number


def per_example(metric: Metric, targets: Any, predictions: Array, who: str) -> NDArray[np.float64]:
    """Scores (N,) of single examples. Raises UsageError when the shape or a value is wrong."""
    assert metric.per_example is not None
    with _said(metric, who):
        made = metric.per_example(targets, predictions)
    masked = first_masked(made)
    if masked is not None:
        problem = f"per_example of metric {metric.name} masks example {masked} for {who}"
        raise UsageError(problem, allowed=f"{len(predictions)} finite numbers")
    values = np.asarray(made, dtype=np.float64)
    if values.shape != (len(predictions),) or not np.isfinite(values).all():
        raise UsageError(
            f"per_example of metric {metric.name} gives shape {values.shape} for {who}",
            allowed=f"{len(predictions)} finite numbers",
        )
    return values


@contextmanager
def _said(metric: Metric, who: str) -> Iterator[None]:
    """What a ready metric refuses, as a sentence; a task's own errors are told with its file and line elsewhere."""
    try:
        yield
    except ValueError as error:
        if getattr(metric.function, "__module__", "") != ready.__name__:
            raise
        raise UsageError(
            f"metric {metric.name} for {who}: {error}", hint="another metric.name in params.yaml"
        ) from error


def _metric(name: str, entry: object, where: str) -> Metric:
    if not isinstance(entry, Mapping) or not {"direction"} <= set(entry) <= set(_KEYS):
        raise UsageError(f"{where} is {entry!r}", allowed=f"a dict with {', '.join(_KEYS)} (direction required)")
    function = entry.get("function", mean)
    if not callable(function) or not callable(entry.get("per_example", len)):
        raise UsageError(f"{where}: function is {function!r}", allowed="functions of targets and predictions")
    if entry["direction"] not in _DIRECTIONS:
        raise UsageError(f"{where}: direction is {entry['direction']!r}", allowed=", ".join(_DIRECTIONS))
    return Metric(
        name=name,
        function=function,
        direction=entry["direction"],
        min_effect=_number(entry.get("min_effect", 0.0), 0.0, f"{where}: min_effect"),
        worst=None if entry.get("worst") is None else _number(entry["worst"], -np.inf, f"{where}: worst"),
        per_example=entry.get("per_example", mean_of_each if function is mean else None),
    )


def _number(value: object, least: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < least:
        raise UsageError(f"{where} is {value!r}", allowed="a finite number" + (" >= 0" if least == 0 else ""))
    return float(value)
