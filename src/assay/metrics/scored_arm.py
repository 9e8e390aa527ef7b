"""One arm under the ruler: its replicates' predictions, and what every metric says of each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Replicate
from assay.metrics import replicate_scores, task_metrics
from assay.metrics.task_metrics import Metric
from assay.runtime import example_ids, files, npy_files
from assay.stats.compare_arms import MeasuredArm

Array = NDArray[Any]


@dataclass(frozen=True)
class Ruler:
    """Today's ruler: the deciding metric, the others, the examples."""

    metrics: Mapping[str, Metric]
    decides: str
    options: Mapping[str, Any]  # of the deciding metric
    ids: NDArray[np.str_]
    targets: Any  # (N, …), or a dict of such arrays where examples have several

    @property
    def metric(self) -> Metric:
        return self.metrics[self.decides]

    def judging_by(self, direction: str, min_effect: float, worst: float | None) -> Ruler:
        """The same ruler, whose deciding metric is judged by these terms and not by its own."""
        judged = replace(self.metric, direction=direction, min_effect=min_effect, worst=worst)
        return replace(self, metrics={**self.metrics, self.decides: judged})

    def score(self, metric: Metric, predictions: Array, who: str) -> float:
        """One metric of one replicate's predictions (N, …), with its options."""
        options = self.options if metric.name == self.decides else {}
        return task_metrics.score(metric, options, self.targets, predictions, who)

    def scores(self, predictions: Array, who: str) -> dict[str, float]:
        """Every metric of one replicate's predictions (N, …); one that is only shown where it applies."""
        found = {}
        for name, metric in self.metrics.items():
            with suppress(UsageError) if metric.beside else nullcontext():
                found[name] = self.score(metric, predictions, who)
        return found


@dataclass(frozen=True)
class Scored:
    """An arm with replicates. `predictions` has a row per replicate; `scores` a dict, empty where it diverged."""

    arm: Arm
    replicates: list[Replicate]
    predictions: Array  # (R, N, …)
    scores: list[dict[str, float]]
    own_examples: bool = False  # each replicate has a split of its own, and fills up its row with NaN

    @property
    def overlap(self) -> float | None:
        """Validation over training examples of a split, the mean; None where all replicates have the same parts."""
        splits = UNSET if self.arm.measurement is None else self.arm.measurement.splits
        return None if splits is UNSET else splits.overlap

    @property
    def identity(self) -> str:
        """Hash of what makes the strategy the strategy it is; the same for the same strategy, whatever its n."""
        assert self.arm.measurement is not None
        return files.digest(msgspec.json.encode(self.arm.measurement.identity, order="deterministic"))

    def measured(self, metric: str) -> MeasuredArm:
        """The metric of each replicate by its number, those with the same predictions once."""
        scored = zip(self.replicates, self.scores, strict=True)
        counted = [(one.number, of.get(metric)) for one, of in scored if one.number not in self.same_as]
        return MeasuredArm(counted, self.overlap, self.arm.environment.blocks(number for number, _ in counted))

    def values(self, metric: str) -> list[float]:
        """The metric over the replicates that did not diverge, those with the same predictions once."""
        return self.measured(metric).values

    @cached_property
    def same_as(self) -> dict[int, int]:
        """Replicate → the earlier one with the same predictions, bit for bit: its seed did not reach the training."""
        return {} if self.own_examples else replicate_scores.same_as(self.replicates, self.predictions)

    @property
    def counted(self) -> list[bool]:
        """For each replicate, whether it is one of those that n counts."""
        return [one.diverged is None and one.number not in self.same_as for one in self.replicates]

    @property
    def diverged(self) -> int:
        return sum(1 for replicate in self.replicates if replicate.diverged)

    @property
    def finite(self) -> Array:
        """Predictions of the replicates that did not diverge, the same ones once."""
        return self.predictions[self.counted]


def load(layout: ProjectPaths, arm: Arm, ruler: Ruler) -> Scored | None:
    """The arm's predictions, scored; None for the floor, which has no replicates."""
    if arm.measurement is None:
        return None
    folder, found = layout.predictions(arm.arm), arm.measurement.replicates
    hint = again(layout, folder, "train" if arm.arm == "candidate" else arm.arm)
    predictions = npy_files.read(folder / "predictions.npy", hint)
    ids = example_ids.read(folder / "ids.npy", hint)
    if not np.array_equal(ids, ruler.ids):
        raise UsageError(f"{folder} holds predictions for other examples than today's validation part", hint=hint)
    if len(predictions) != len(found):
        raise UsageError(f"{folder} holds {len(predictions)} replicates, its record {len(found)}", hint=hint)
    if predictions.ndim < 2 or predictions.shape[1] != len(ids):
        raise UsageError(f"{folder} holds predictions of shape {predictions.shape} for {len(ids)} examples", hint=hint)
    scores = replicate_scores.scored(found, predictions, ruler.scores, f"{arm.arm} replicate")
    return Scored(arm, found, predictions, [one or {} for one in scores])


def again(layout: ProjectPaths, output: Path, stage: str) -> str:
    """What brings one output back; by name, as a checkout of all would take what somebody has not added elsewhere."""
    return f"dvc checkout --force {output.relative_to(layout.root).as_posix()}, or dvc repro -f -s {stage}"


def record(layout: ProjectPaths, arm: str) -> Arm:
    path = layout.record(arm)
    hint = again(layout, path, "train" if arm == "candidate" else arm)
    return schemas.decode(files.read_bytes(path, hint), Arm, str(path), hint)


def floors(layout: ProjectPaths, ruler: Ruler) -> dict[str, Array]:
    """Name → predictions of each floor."""
    hint = again(layout, layout.floors, "baseline")
    if not np.array_equal(example_ids.read(layout.floors / "ids.npy", hint), ruler.ids):
        raise UsageError(f"{layout.floors} holds other examples than today's validation part", hint=hint)
    found = {
        path.stem: npy_files.read(path, hint) for path in sorted(layout.floors.glob("*.npy")) if path.stem != "ids"
    }
    for name, array in found.items():
        if len(array) != len(ruler.ids):
            problem = (
                f"{layout.floors / name}.npy holds predictions of shape {array.shape} for {len(ruler.ids)} examples"
            )
            raise UsageError(problem, hint=hint)
    return found
