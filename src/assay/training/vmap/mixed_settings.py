"""Several settings in one training: what only the update reads may differ from lane to lane, and costs nothing extra.

Covers: which settings may share lanes, training what none of them has yet, keeping each replicate under its own
setting's name in the cache, where the run that asks for it finds it. A lane ends with the same bytes as in a fused
training of its setting alone. Not covered: settings that change shapes, data or the number of steps, and whatever
is not fused: each run trains those by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from assay.core.errors import AssayError
from assay.replicates import assemble_measurement
from assay.replicates.training_progress import Progress
from assay.training import autotune_execution, memory_estimate, model_init, thread_count, training_loop
from assay.training.missing_replicates import RequestRun
from assay.training.schedules import Schedule
from assay.training.training_spec import TrainingPlan
from assay.training.vmap.vmap_engine import Fused, LaneGroup


@dataclass(frozen=True)
class Lane:
    """One replicate of one setting."""

    group: RequestRun
    number: int


def train(groups: Sequence[RequestRun], progress: Progress, late: Callable[[], list[str]]) -> int:
    """Train what no cache holds of `groups`, which are alike, together; how many replicates that were.

    `late` tells modules imported meanwhile that nobody had seen: kept for the runs that find the replicates.
    What cannot be fused, or costs less apart, is left to the runs that ask for it.
    """
    plan = replace(groups[0].plan, checkpoints=None, recording=groups[0].recording(groups[0].request.replicates))
    try:
        lanes = [Lane(group, number) for group in groups for number in _claimed(group, progress)]
        progress.keep = lambda outcome: None  # numbers repeat from setting to setting
        if len({id(lane.group) for lane in lanes}) < 2:
            return 0
        model_init.check(plan)
        for group in groups:
            group.note_start()
            group.before(group)
        with thread_count.threads(plan):
            return sum(_train(plan, part, progress, late) for part in _chunks(plan, lanes))
    finally:
        for group in groups:
            group.store.close()


def _claimed(group: RequestRun, progress: Progress) -> list[int]:
    progress.keep = group.keep
    return group.claim()


def _chunks(plan: TrainingPlan, lanes: Sequence[Lane]) -> Iterator[list[Lane]]:
    """As many lanes as fit into memory, for as long as fusing them pays; one alone would not be a batch to torch."""
    group = lanes[0].group
    way = autotune_execution.way(
        plan, [lane.number for lane in lanes], group.request.execution, group.store, forks=False
    )
    if way.chunk > 1 and way.workers == 1:
        chunks = memory_estimate.chunks(range(len(lanes)), way.chunk)
        yield from ([lanes[index] for index in chunk] for chunk in chunks if len(chunk) > 1)


def _train(plan: TrainingPlan, lanes: Sequence[Lane], progress: Progress, late: Callable[[], list[str]]) -> int:
    try:
        found = training_loop.train(plan, _engine(plan, lanes), [lane.number for lane in lanes], progress)
    except (AssayError, OSError):
        raise
    except Exception:  # lanes that break or do not fit: the runs train another way, and say why
        return 0
    for lane, outcome in zip(lanes, found, strict=True):
        lane.group.keep(outcome)
    assemble_measurement.note([(lane.group.store, outcome) for lane, outcome in zip(lanes, found, strict=True)], late())
    return len(found)


def _engine(plan: TrainingPlan, lanes: Sequence[Lane]) -> Fused:
    numbers = [lane.number for lane in lanes]
    masks = model_init.masks(plan, numbers)
    modules = [model_init.module(plan, number, masks) for number in numbers]
    return Fused(plan.task, modules, plan.params, masks, plan.updates_per_epoch, list(_parts(plan, lanes)))


def _parts(plan: TrainingPlan, lanes: Sequence[Lane]) -> Iterator[LaneGroup]:
    """Neighbours of one setting, and how it updates them."""
    start = 0
    for _, same in itertools.groupby(lanes, lambda lane: id(lane.group)):
        count, settings = len(list(same)), lanes[start].group.settings
        schedule = Schedule(settings.lr, settings.train, plan.updates_per_epoch)
        yield LaneGroup(slice(start, start + count), settings.train, schedule)
        start += count
