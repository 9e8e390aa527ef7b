"""How the replicates of a plan are trained: together, one after another, or in processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch

from assay.core.errors import AssayError, UsageError
from assay.core.schemas import Note
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.replicate_result import Outcome
from assay.replicates.training_progress import Only, Watcher
from assay.runtime import task_source
from assay.runtime.device_places import DevicePlace
from assay.training import (
    autotune_execution,
    device,
    device_processes,
    memory_estimate,
    task_interface,
    thread_count,
    training_loop,
    worker_processes,
)
from assay.training.device_processes import TrainingOrder
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check
from assay.training.vmap.vmap_engine import NotFusable


def run(
    plan: TrainingPlan,
    group: Sequence[int],
    numbers: Sequence[int],
    execution: str,
    progress: Watcher,
    store: ReplicateCache,
) -> list[Outcome]:
    """Train the replicates `numbers` of `group`; their outcomes in that order.

    How follows from the whole group: what an interrupted run left over is trained as it would have been.
    """
    with _said(plan), thread_count.threads(plan):
        way = autotune_execution.way(plan, group, execution, store)
        autotune_execution.describe(way, execution, progress)
        shares = [[one for one in group[index :: way.workers] if one in numbers] for index in range(way.workers)]
        shares = [share for share in shares if share]
        # Workers share out the threads, also when but one of them is left to do: threads can change last bits.
        with device.threads(max(1, torch.get_num_threads() // way.workers)):
            if len(shares) > 1:
                found = worker_processes.run(plan, shares, way.chunk, progress, store.notes, part)
            else:
                found = here(plan, shares[0], way.chunk, progress, store.notes)
    by_number = {one.number: one for one in found}
    return [by_number[number] for number in numbers]


def over_places(
    order: TrainingOrder,
    plan: TrainingPlan,
    numbers: Sequence[int],
    places: Sequence[DevicePlace],
    progress: Watcher,
    store: ReplicateCache,
) -> None:
    """Train the replicates `numbers` of the request over these places, a process each; `progress` is given them."""
    group = order.request.replicates
    with _said(plan), device.threads(1):
        largest = max(device_processes.groups(group), key=len)
        together = autotune_execution.together(plan, largest, order.request.execution, store)
        how = f"in lanes of fixed groups of {device_processes.LANES}" if together else "one at a time"
        progress.log(f"devices: {', '.join(map(str, places))}; replicates train {how}")
        work = device_processes.pieces(group, numbers, together=together)
        device_processes.run(order, plan, work, places, progress, store.notes, part)


def part(plan: TrainingPlan, numbers: Sequence[int], chunk: int, progress: Watcher, notes: list[Note]) -> list[Outcome]:
    """The share of one worker process, which knows from its parent that lanes can be trusted."""
    with _said(plan):
        return here(plan, numbers, chunk, progress, notes)


def here(
    plan: TrainingPlan, numbers: Sequence[int], largest: int, progress: Watcher, notes: list[Note]
) -> list[Outcome]:
    """Train in this process, `largest` at a time; a chunk that does not fit or breaks in lanes is cut up."""
    found: list[Outcome] = []
    waiting, lanes = memory_estimate.chunks(numbers, largest), largest > 1
    while waiting:
        chunk = waiting.pop(0)
        if found:
            memory_estimate.release()
        try:
            found += _in_lanes(plan, chunk, progress) if lanes else _alone(plan, chunk[0], progress)
        except NotFusable as error:
            notes.append(Note(f"trained one after another, not fused: {error}"))
            waiting, lanes = [[number] for number in chain(chunk, *waiting)], False
        except Exception as error:
            if not lanes or not memory_estimate.exhausted(error):
                raise
            half = -(-len(chunk) // 2)
            progress.log(f"{max(2, len(chunk))} replicates do not fit into memory: {half} at a time")
            waiting, lanes = memory_estimate.chunks(list(chain(chunk, *waiting)), half), half > 1
    return found


def _in_lanes(plan: TrainingPlan, numbers: Sequence[int], progress: Watcher) -> list[Outcome]:
    """Fresh lanes, trained to the end. NotFusable, naming module and reason, when what they run through breaks.

    One replicate alone is accompanied by another that is thrown away: torch takes a single lane for no batch, and
    its last bits would differ from those among others.
    """
    lanes = numbers if len(numbers) > 1 else [numbers[0], numbers[0] + 1]
    engine = equivalence_check.fused(plan, lanes)
    try:
        return training_loop.train(plan, engine, lanes, Only(progress, numbers))[: len(numbers)]
    except (NotFusable, AssayError, OSError):  # the last of who is told, not of the lanes
        raise
    except Exception as error:
        if memory_estimate.exhausted(error):
            raise
        raise NotFusable(equivalence_check.blamed(engine, error)) from error


def _alone(plan: TrainingPlan, number: int, progress: Watcher) -> list[Outcome]:
    return training_loop.train(plan, equivalence_check.alone(plan, number), [number], progress)


@contextmanager
def _said(plan: TrainingPlan) -> Iterator[None]:
    """One sentence for what training raises: too little memory for one replicate, or the task's own failure."""
    try:
        yield
    except Exception as error:
        if memory_estimate.exhausted(error):
            raise UsageError(
                f"one replicate does not fit into the memory of {plan.device}: {task_interface.brief(error)}",
                hint="lower train.batch_size, or take a smaller model, in params.yaml",
            ) from error
        with task_source.said_by_task(plan.task.root, plan.task.name, "learning"):
            raise
