"""Replicates of a request, trained into the cache and nothing else: no results are written, and nothing is judged.

Covers: what a worker of another machine does. Not covered: results; the stage that asks later takes from the cache what
it finds (`training.train_and_predict`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates.assemble_measurement import Cost, Watch
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.training.training_setup import prepare


def train(
    request: MeasureRequest,
    root: Path,
    params: Params,
    sample: ExampleSubset,
    watch: Watch,
    begin: Callable[[], object],
) -> None:
    """Train what no cache has of `request`; `begin` is called when nothing stands in the way of training any more.

    Raises UsageError for what the task, the parameters or the data get wrong.
    """
    ready = prepare(request, root, params, sample)
    watch.ready()
    progress = assemble_measurement.watched(request, params)
    try:
        with ready.watched(request, params, progress, watch) as (group, readings):
            begin()
            outcomes = group.outcomes()
            watch.done(group.store)
        busy = round(sum(readings) / len(readings), 1) if readings else None
        assemble_measurement.tell(request, group.store, outcomes, watch.late(), Cost(group.peak_memory, busy))
    finally:
        progress.close()
