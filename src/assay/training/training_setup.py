"""A request and its parameters made ready to train: examples, task, device, cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from assay.core import variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.replicates import replicate_cache
from assay.replicates.assemble_measurement import Watch
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.replicates.training_progress import Progress
from assay.runtime import fork_safety, task_source
from assay.training import configured_task, custom_fit, device
from assay.training.missing_replicates import RequestRun
from assay.training.task_interface import Task


@dataclass(frozen=True)
class Prepared:
    """What every setting of a request shares."""

    task: Task
    device: torch.device
    sample: ExampleSubset

    def group(
        self, request: MeasureRequest, params: Params, progress: Progress, nondeterministic: list[str]
    ) -> RequestRun:
        """The replicates of `request` under `params`, which may be others of the same task and sample."""
        store = replicate_cache.store(request, params, self.sample, nondeterministic)
        return RequestRun(request, params, self.task, self.device, self.sample, store, progress)

    @contextmanager
    def watched(
        self, request: MeasureRequest, params: Params, progress: Progress, watch: Watch
    ) -> Iterator[tuple[RequestRun, list[int]]]:
        """The same, with what looks on while it trains, under the settings of the device; and how busy that is, in
        percent, read now and then until the end."""
        with (
            device.products(params.train.precision),
            device.determinism(params.train.deterministic) as nondeterministic,
            device.metered() as readings,
        ):
            group = self.group(request, params, progress, nondeterministic)
            group.before, group.loop_watch, group.loop_seen = watch.before, watch.loop_watch, watch.loop_seen
            group.recorder = watch.recorder
            yield group, readings


def _has_fit(root: Path, params: Params) -> bool:
    try:
        return "fit" in task_source.read(root, params.task.name, "learning").names
    except UsageError:  # importing it says more
        return False


def refuse_processes(task: Task, params: Params) -> None:
    """Raise UsageError where several processes are asked to train a replicate that none of them could share."""
    count = params.train.processes_per_replicate
    if count > 1 and (task.fit is None or custom_fit.is_older_form(task)):
        raise UsageError(
            f"train.processes_per_replicate is {count}, and {task.file} has no fit(params, data, seed, log)",
            allowed="1 without a loop of its own",
            hint="write fit() in it, or remove train.processes_per_replicate in params.yaml",
        )


def prepare(request: MeasureRequest, root: Path, params: Params, sample: ExampleSubset) -> Prepared:
    """Load the task of `root` for what was read. Raises UsageError for what is wrong in it."""
    with fork_safety.without_driver() if _has_fit(root, params) else nullcontext():
        task = configured_task.load(params, root, sample.train)
    if task.fit is not None and not variation.has_all_of_training(vary := variation.varied(request.purpose)):
        raise UsageError(
            f"vary is {variation.in_words(vary)}, and fit() in {task.file} has one seed for all that it draws",
            hint="remove vary in params.yaml",
        )
    refuse_processes(task, params)
    if task.fit is not None:  # its processes ask for the device: where this one did, they could not be copies of it
        return Prepared(task, torch.device("cpu"), sample)
    return Prepared(task, device.first(request.device, request.devices), sample)
