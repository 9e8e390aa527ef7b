"""The frozen protocol: train the replicates of a request that no cache has, predict, write, answer.

Covers: from a MeasureRequest to models, predictions, curves, log and a Measurement. Not covered: which
revision's files these are (the request is answered by the code of the tree it was started in), and what
the predictions are worth.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.core.params_yaml import Params
from assay.core.schemas import Measurement, MeasureRequest
from assay.replicates import assemble_measurement, split_examples
from assay.replicates.assemble_measurement import NOBODY, Cost, Watch
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.runtime import timing
from assay.training import device
from assay.training.missing_replicates import RequestRun
from assay.training.training_setup import Prepared, prepare


def measure(
    request: MeasureRequest,
    root: Path,
    report: Callable[[str], None] | None = None,
    params: Params | None = None,
) -> Measurement:
    """Answer `request` with the code of `root`, and `params` or those of its params.yaml.

    Raises UsageError for what the task, the parameters or the data get wrong, AssayError when every
    replicate diverges; then no answer is written.
    """
    settings = params or assemble_measurement.requested(request, root)
    answer, _ = trained(request, root, settings, split_examples.read(request, settings), report=report)
    return answer


def trained(
    request: MeasureRequest,
    root: Path,
    params: Params,
    sample: ExampleSubset,
    watch: Watch = NOBODY,
    report: Callable[[str], None] | None = None,
) -> tuple[Measurement, list[str]]:
    """`measure`, for whoever has read parameters and examples already; and modules that were imported unseen for it."""
    ready = prepare(request, root, params, sample)
    watch.ready()
    progress = assemble_measurement.watched(request, params, report)
    reading = timing.mark("data")
    try:
        with ready.watched(request, params, progress, watch) as (group, readings):
            outcomes = group.outcomes()
            watch.done(group.store)
        training = timing.mark("training")
        cost = _cost(ready, group, readings)
        unproven = assemble_measurement.tell(request, group.store, outcomes, watch.late(), cost)
        answer = assemble_measurement.write(request, params, sample, outcomes, group.store, progress, cost)
        writing = timing.mark("writing")
        progress.log(f"seconds: reading {reading:.2f}, replicates {training:.2f}, writing {writing:.2f}")
    finally:
        progress.close()
    return answer, unproven


def _cost(ready: Prepared, group: RequestRun, readings: list[int]) -> Cost:
    """What the training took, for log and record; a note where a package is missing that would tell more."""
    mean = round(sum(readings) / len(readings), 1) if readings else None
    cost = Cost(group.peak_memory, mean)
    if readings:
        group.progress.log(f"accelerator {mean} % busy on average, peak memory {cost.peak_memory} bytes")
    elif ready.task.fit is None and not all(one.reused for one in group.found.values()):
        group.store.notes += device.unmetered(ready.device)
    return cost
