"""What earlier runs of a project tell of the next ones: seconds of a training, spread, trainings that are at hand.

Covers: records of experiments, of the work tree and of HEAD, as far as DVC's cache has them here; an estimate, and no
promise. Not covered: what follows from it (`commands.try_price`).
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.paths import ARMS, LOCK, REPLICATES, ProjectPaths
from assay.core.schemas import Arm
from assay.history import cached_predictions
from assay.runtime import dvc_cache_dir, dvc_yaml, git
from assay.stats.arm_scores import mean_and_sd


@dataclass(frozen=True)
class MeasuredBefore:
    """None for what no earlier run tells. `baseline`: its trainings that were made before."""

    seconds: float | None = None  # of one training
    sd: float | None = None  # of the metric over replicates
    baseline: int = 0


def find(layout: ProjectPaths, revisions: Sequence[str], asked: Params, commit: str) -> MeasuredBefore:
    """What is known from `revisions`, then the work tree, then HEAD; `commit` is the baseline's, "" for a floor.

    Runs under another profile tell nothing.
    """
    arms = [one for one in _arms(layout, revisions) if one.measurement and one.measurement.profile == asked.profile]
    seconds = [found for one in arms if (found := _seconds(one)) is not None]
    same = [one.measurement.replicates for one in arms if one.measurement and commit and one.commit == commit]
    spreads = [
        sd
        for table in _contents(layout, revisions, REPLICATES)
        if (sd := _spread(table, asked.metric.name, asked.profile)) is not None
    ]
    return MeasuredBefore(next(iter(seconds), None), next(iter(spreads), None), max(map(len, same), default=0))


def _contents(layout: ProjectPaths, revisions: Sequence[str], path: str) -> Iterator[bytes]:
    for revision in revisions:
        if (content := git.read(layout.root, revision, path)) is not None:
            yield content
    with suppress(OSError):
        yield (layout.root / path).read_bytes()
    if (content := git.read(layout.root, "HEAD", path)) is not None:
        yield content


def _arms(layout: ProjectPaths, revisions: Sequence[str]) -> Iterator[Arm]:
    """Records of both arms, the candidate's first."""
    try:
        cache = dvc_cache_dir.folder(dvc_yaml.main(layout.root))
    except AssayError:
        return
    for lock in _contents(layout, revisions, LOCK):
        for arm in reversed(ARMS):
            if (found := _arm(cache, lock, arm)) is not None:
                yield found


def _arm(cache: Path, lock: bytes, arm: str) -> Arm | None:
    try:
        return cached_predictions.record(cache, lock, arm)
    except AssayError:  # not in this cache, or damaged: an estimate goes without it
        return None


def _seconds(arm: Arm) -> float | None:
    finished = [one.seconds for one in arm.measurement.replicates if not one.diverged] if arm.measurement else []
    return statistics.fmean(finished) if finished else None


def _spread(table: bytes, metric: str, profile: str) -> float | None:
    """The baseline's, or the candidate's where there is none."""
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8", "replace"))))
    for arm in ARMS:
        texts = [row.get(metric) for row in rows if row.get("arm") == arm and row.get("profile", profile) == profile]
        with suppress(ValueError):
            if sd := mean_and_sd([float(text) for text in texts if text])[1]:
                return sd
    return None
