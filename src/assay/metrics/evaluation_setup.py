"""Today's ruler: the one that params.yaml, the task's metrics.py and the validation part of a tree make up.

Covers: the checked metric with its examples, and its version. Not covered: reading the examples, importing
the task's module (`runtime.task_source`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.metric_version import can_name
from assay.core.params_yaml import Params
from assay.metrics import task_metrics
from assay.metrics.scored_arm import Ruler
from assay.metrics.version.version_key import metric_version, score_code
from assay.runtime import files, import_closure, metric_input_files, task_source


def read(root: Path, params: Params, module: object, ids: NDArray[np.str_], targets: Any) -> Ruler:
    """The ruler of the project at `root` for examples with `ids` (N,) and `targets` (N, …).

    Raises UsageError for what METRICS gets wrong.
    """
    where = task_source.where(root, params.task.name, "metrics")
    metrics = task_metrics.asked(module, params.metric, where)
    return Ruler(metrics, params.metric.name, params.metric.options, ids, targets)


def version(root: Path, params: Params, module: object, evaluated: str) -> str:
    """The metric version in the tree at `root`; `evaluated` is the content hash of the examples."""
    return _version(root, params, module, evaluated, params.metric.name)


def versions(root: Path, params: Params, module: object, evaluated: str, names: Iterable[str]) -> dict[str, str]:
    """Metric → its version, for those of `names` that a version can begin with; only the deciding one has options."""
    named = [name for name in names if name == params.metric.name or can_name(name)]
    return {name: _version(root, params, module, evaluated, name) for name in named}


def _version(root: Path, params: Params, module: object, evaluated: str, name: str) -> str:
    options: Mapping[str, Any] = params.metric.options if name == params.metric.name else {}
    return metric_version(
        partial(import_closure.read_module, root),
        task_source.module(root, params.task.name, "metrics"),
        name,
        task_metrics.revision(module, task_source.where(root, params.task.name, "metrics")),
        evaluated,
        options,
        metric_input_files.contents(root, params.task.name) | _scored(root, params.task.name),
        task_source.label(root, params.task.name, "metrics"),
    )


def _scored(root: Path, task: str) -> dict[str, str]:
    """What stands for predictions, where the task keeps scores: a hash of the code that makes them."""
    code = score_code(partial(import_closure.read_module, root), task_source.module(root, task, "learning"))
    return {"score()": files.digest(code.encode())} if code else {}
