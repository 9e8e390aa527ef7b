"""The candidate trained while the baseline is: on a processor that would lie idle.

Covers: whether that costs the baseline nothing, and training into the cache, as the stage `train` would. Not covered:
results; that stage takes from the cache what it finds, does the rest, and says what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from msgspec import UNSET

from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates.assemble_measurement import Cost, Watch
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.runtime import parent_watch, timing
from assay.training import autotune_execution, device, memory_estimate, model_init, thread_count
from assay.training.missing_replicates import RequestRun
from assay.training.training_setup import prepare

#: share of what a group may take of the memory at hand: the baseline takes as much
HALF = 0.5


def train(
    request: MeasureRequest,
    root: Path,
    params: Params,
    sample: ExampleSubset,
    scratch: Path,
    watch: Watch,
    begin: Callable[[], object],
) -> None:
    """Train what no cache has of `request`; `begin` is called when that starts. Curves and log go to `scratch`.

    Only a brief training: under `auto`, one that is not worth processes of its own, and that keeps one processor busy
    and no more. Never a loop of the task's own: nobody knows what it uses.
    """
    ready = prepare(request, root, params, sample)
    watch.ready()
    alone = request.execution == "auto" and request.devices is UNSET and ready.device.type == "cpu"
    if ready.task.fit is not None or not alone:
        return
    request = msgspec.structs.replace(request, curves=str(scratch / "curves.csv"), log=str(scratch / "log"))
    progress = assemble_measurement.watched(request, params)
    try:
        with (
            device.products(params.train.precision),
            device.determinism(params.train.deterministic) as nondeterministic,
        ):
            group = ready.group(request, params, progress, nondeterministic)
            group.before, group.recorder = watch.before, watch.recorder
            if _costs_nothing(group):
                begin()
                outcomes = group.outcomes()
                assemble_measurement.tell(
                    request, group.store, outcomes, watch.late(), Cost(device.peak_memory(ready.device))
                )
    finally:
        progress.close()
        timing.mark("training")


def _costs_nothing(group: RequestRun) -> bool:
    plan, numbers = group.plan, group.request.replicates
    model_init.check(plan)
    with thread_count.threads(plan):
        if torch.get_num_threads() > 1:
            return False
        way = autotune_execution.way(plan, numbers, group.request.execution, group.store)
        room = HALF * memory_estimate.room(plan.device)
        at_once = way.workers * way.chunk
        return way.workers <= parent_watch.share() and at_once * autotune_execution.needed(plan, numbers[0]) <= room
