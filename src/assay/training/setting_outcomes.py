"""All replicates of one setting, from the cache or trained now, and what the training took of the machine.

Covers: share of time in which processors or the accelerator were busy, and share that making batches takes. Not
covered: several settings together (`training.grid_cache_warmup`), scores.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates.replicate_result import Outcome
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.runtime import parent_watch
from assay.training import device
from assay.training.missing_replicates import RequestRun
from assay.training.model_inputs import CollatedInputs
from assay.training.training_setup import prepare

#: batches that are made to tell how long one takes
_BATCHES = 5


@dataclass(frozen=True)
class SettingOutcomes:
    """`busy` and `loading`: shares of the training's time, None where nobody can tell or nothing was trained."""

    outcomes: list[Outcome]
    device: str
    busy: float | None
    loading: float | None


def train_setting(request: MeasureRequest, root: Path, params: Params, sample: ExampleSubset) -> SettingOutcomes:
    """The replicates of `request` under `params`. Raises UsageError for what the task, parameters or data get wrong."""
    ready = prepare(request, root, params, sample)
    progress = assemble_measurement.watched(request, params)
    train = params.train
    try:
        with (
            device.products(train.precision),
            device.determinism(train.deterministic) as nondeterministic,
            device.metered() as readings,
        ):
            group = ready.group(request, params, progress, nondeterministic)
            began, spent = time.monotonic(), _processor_seconds()
            outcomes = group.outcomes()
            taken, spent = time.monotonic() - began, _processor_seconds() - spent
            trained = [one for one in outcomes if not one.reused]
            if not trained:
                return SettingOutcomes(outcomes, ready.device.type, None, None)
            busy = spent / taken / parent_watch.processors() if ready.device.type == "cpu" else None
            busy = statistics.fmean(readings) / 100 if readings else busy
            return SettingOutcomes(
                outcomes, ready.device.type, None if busy is None else min(1.0, busy), _loading(group, trained)
            )
    finally:
        progress.close()


def _loading(group: RequestRun, trained: list[Outcome]) -> float | None:
    """Share of a training's time that its batches take to make: measured on a few of them, after it."""
    steps, seconds = trained[0].steps, trained[0].seconds
    if group.task.fit is not None or not steps or not seconds:
        return None
    inputs = group.plan.train.inputs
    if not isinstance(inputs, CollatedInputs):
        return 0.0  # all examples lie in memory, as tensors
    size = group.settings.train.batch_size
    count = len(group.plan.train.targets)
    rows = [torch.arange(first, min(first + size, count)) for first in range(0, count, size)][:_BATCHES]
    began = time.perf_counter()
    for each in rows:
        inputs[each]
    batch = (time.perf_counter() - began) / len(rows)
    return min(1.0, batch * steps / seconds / max(1, group.settings.machine.loaders))


def _processor_seconds() -> float:
    """Of this process and of the children that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
