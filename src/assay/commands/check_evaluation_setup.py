"""Today's ruler for a command: the task's metrics in the work tree, on the validation part that lies there.

Covers: refusing data that are not what today's sources and parameters make, and telling a ruler that is in
a commit from one that somebody is still writing. Not covered: the metrics themselves (`metrics.task_metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.changes import dvc_lock_diff
from assay.core import params_yaml, variation
from assay.core.errors import IncomparableError, ProvenanceError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import LOCK, PARAMS, VALIDATION_PART, ProjectPaths
from assay.data import storage
from assay.history import metrics_json
from assay.history.cached_predictions import CachedArm
from assay.metrics import evaluation_setup, ran_on_this_machine, replicate_scores, task_metrics, undeclared_file_reads
from assay.metrics.scored_arm import Ruler
from assay.metrics.task_metrics import Metric
from assay.runtime import (
    dvc_lock,
    dvc_yaml,
    files,
    git,
    metric_input_files,
    script_source,
    source_analysis_cache,
    task_code,
    task_source,
)
from assay.runtime.git_commit_hint import commit_command, named
from assay.stats.compare_arms import MeasuredArm
from assay.tags.strategy_events import Score


@dataclass(frozen=True)
class Today:
    """The ruler and its version."""

    layout: ProjectPaths
    asked: Params
    ruler: Ruler
    version: str

    def score(self, found: CachedArm) -> Score:
        """The group under this ruler.

        Raises IncomparableError when an example of today's was not predicted, UsageError when the metric fails.
        """
        return metrics_json.score(self.measured(found, self.ruler.metric))

    def measured(self, found: CachedArm, metric: Metric) -> MeasuredArm:
        """The metric of every replicate by its number, those with the same predictions once. Raises as `score` does."""
        assert found.arm.measurement is not None  # `kept.read` gives no other
        replicates, rows = found.arm.measurement.replicates, found.predictions
        values = replicate_scores.scored(
            replicates, rows, lambda row, who: self.value(found.ids, row, metric, who), "stored replicate"
        )
        same, pairs = replicate_scores.same_as(replicates, rows), zip(replicates, values, strict=True)
        counted = [(one.number, value) for one, value in pairs if one.number not in same]
        blocks = found.arm.environment.blocks(number for number, _ in counted)
        return MeasuredArm(counted, blocks=blocks)

    def value(self, ids: NDArray[np.str_], predictions: NDArray[Any], metric: Metric, who: str) -> float:
        """The metric of predictions (M, …) for examples `ids` (M,). Raises as `score` does."""
        with self.said_by_task():
            found = self.ruler.score(metric, predictions[self._rows(ids)], who)
        undeclared_file_reads.check(self.layout.root, self.asked.task.name)
        return found

    def examples(self, found: CachedArm) -> NDArray[np.float64]:
        """Scores (R, N) of today's single examples, for the replicates that `score` counts. Raises as it does."""
        assert found.arm.measurement is not None
        replicates = found.arm.measurement.replicates
        same, pairs = (
            replicate_scores.same_as(replicates, found.predictions),
            zip(replicates, found.predictions, strict=True),
        )
        finite = [row for one, row in pairs if one.diverged is None and one.number not in same]
        if not finite:
            raise UsageError(f"every replicate of {found.arm.name} diverged", hint="lower lr, or set train.clip")
        return np.stack([self.each_example(found.ids, row, f"the {found.arm.arm}") for row in finite])

    def each_example(self, ids: NDArray[np.str_], predictions: NDArray[Any], who: str) -> NDArray[np.float64]:
        """Scores (N,) of today's single examples, from predictions (M, …) for examples `ids` (M,)."""
        with self.said_by_task():
            return task_metrics.per_example(self.ruler.metric, self.ruler.targets, predictions[self._rows(ids)], who)

    def _rows(self, ids: NDArray[np.str_]) -> NDArray[np.int64]:
        """Where today's examples stand among `ids`: an id is an example's own content, whatever part it lay in."""
        where: Mapping[str, int] = {name: row for row, name in enumerate(ids.tolist())}
        rows = [where.get(name, -1) for name in self.ruler.ids.tolist()]
        if new := rows.count(-1):
            raise IncomparableError(
                f"{new} of today's {len(rows)} validation examples were not predicted",
                hint="measure it again with `dvc exp run`",
            )
        return np.array(rows, dtype=np.int64)

    def said_by_task(self) -> AbstractContextManager[None]:
        return task_source.said_by_task(self.layout.root, self.asked.task.name, "metrics")


def load(layout: ProjectPaths, *, only_known: bool = False) -> Today:
    """Today's ruler; with `only_known` a task's code is imported only where an `evaluate` of this checkout ran it.

    Raises ProvenanceError where it did not, IncomparableError when the validation part is not today's, UsageError for
    bad sources.
    """
    again = "its number is reported, and there are no predictions to score again"
    script_source.refuse(layout.root, again, "dvc exp run, which measures both arms under today's ruler")
    asked = params_yaml.resolved(dvc_yaml.parameters(layout.root))
    why = "needs one validation part that all replicates predicted"
    variation.refuse_splits(asked.vary, "scoring stored predictions", why)
    if only_known:
        _check_known(layout, asked.task.name)
    _check_data(layout)
    part, manifest = storage.read(layout.part("validation"), ["ids", "targets"])
    with undeclared_file_reads.watching():
        module = task_source.load(layout.root, asked.task.name, "metrics")
    version = evaluation_setup.version(layout.root, asked, module, manifest.content)
    return Today(layout, asked, evaluation_setup.read(layout.root, asked, module, part.ids, part.seen_targets), version)


def _check_known(layout: ProjectPaths, task: str) -> None:
    task_source.read(layout.root, task, "metrics")
    if not ran_on_this_machine.ran(layout.root, ran_on_this_machine.metrics_code(layout.root, task)):
        raise ProvenanceError(
            f"{task_source.where(layout.root, task, 'metrics')} as it stands did not run on this machine yet, "
            "and reading runs no such code",
            hint="the same command with --rescore, which runs it",
        )


def _check_data(layout: ProjectPaths) -> None:
    source_analysis_cache.load(dvc_yaml.store(layout.root).sources)
    lock = dvc_lock.stages(files.read_bytes(layout.lock, "dvc repro split"))
    making = {stage: entry for stage, entry in lock.items() if stage in ("prepare", "split")}
    changed = dvc_lock_diff.changed_sources(layout.root, making)
    if changed:
        stage, names = next(iter(changed.items()))
        raise IncomparableError(
            f"{VALIDATION_PART} is not today's: {stage} last ran with another {', '.join(names[:3])}",
            hint="dvc repro split",
        )
    if VALIDATION_PART in dvc_lock_diff.changed_outputs(layout.root, making):
        raise IncomparableError(
            f"{VALIDATION_PART} is not the one of dvc.lock", hint=f"dvc checkout --force {VALIDATION_PART}, or dvc pull"
        )


def check_committed(today: Today) -> str:
    """The commit that holds today's ruler: HEAD. Raises ProvenanceError naming what is in no commit."""
    root, task = today.layout.root, today.asked.task.name
    reached = task_code.closure(root, task, task_code.METRICS)
    paths = [file.as_posix() for file in (*reached, *metric_input_files.metric_reads(root, task))]
    new = git.run(root, "ls-files", "-z", "--others", "--", *paths).split("\0")
    missing = [*git.edited(root, "HEAD", *paths), *filter(None, new)]
    committed = dvc_yaml.parameters_at(root, "HEAD")
    then = params_yaml.load(committed, "params.yaml at HEAD") if committed else None
    if then is None or (then.metric, then.task) != (today.asked.metric, today.asked.task):
        missing.append(PARAMS)
    locks = git.read(root, "HEAD", LOCK) or b"", files.read_bytes(today.layout.lock)
    if len({dvc_lock.output_hash(lock, VALIDATION_PART) for lock in locks}) > 1:
        missing.append(LOCK)
    if missing:
        raise ProvenanceError(
            f"{today.version} is in no commit yet, evidence could not refer to it: {named(missing)}",
            hint=f"{commit_command(root, missing)}, or look at the numbers with --dry-run",
        )
    return git.run(root, "rev-parse", "HEAD")
