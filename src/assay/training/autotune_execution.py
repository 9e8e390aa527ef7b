"""Which way to train a group: together, one after another, or in processes.

`auto` times a few steps of each way on throw-away models and picks the cheapest. The choice is the
machine's business: it is recorded for each replicate and is no part of a strategy's identity.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import torch
from torch import Tensor

from assay.core.schemas import Note
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.training_progress import Watcher
from assay.runtime import parent_watch
from assay.training import memory_estimate, random_streams, thread_count, worker_processes
from assay.training.batches import cuts
from assay.training.engine import Engine
from assay.training.model_inputs import CollatedInputs
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check
from assay.training.vmap.vmap_engine import Fused, NotFusable

#: timed steps of each way, the fastest counts: other work on the machine only ever slows one down
TIMED = 4
#: seconds until a worker process is ready to train: interpreter, torch, data
START = 3.0
#: bytes of a worker process before it trains, where it is no copy of this one
AFRESH = 250 * 2**20
#: seconds until a copy of this process is ready to train
FORK = 0.1
#: workers share memory bandwidth and caches; two on two cores were seen to reach 1.85 times one
PARALLEL = 0.9

#: times today's room that a decision made earlier may ask for: free memory is never the same twice
LEEWAY = 1.5

_CROWDED = "two replicates at a time do not fit into memory"


@dataclass(frozen=True)
class Way:
    """How to train: `chunk` replicates at a time (1: one after another) in each of `workers` processes."""

    chunk: int = 1
    workers: int = 1


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What trying out a group came to. Kept beside the cache: a run that is started again decides alike."""

    chunk: int
    workers: int
    need: int  # bytes of one replicate
    reason: str  # why replicates cannot be fused


def way(plan: TrainingPlan, group: Sequence[int], wanted: str, store: ReplicateCache, *, forks: bool = True) -> Way:
    """The way that `execution` asks for; a line in `store.notes` when another one has to be taken.

    Without `forks` only a training that is long enough for processes started afresh is spread over any.
    """
    if len(group) == 1 or wanted == "sequential":
        return Way()
    if isinstance(plan.train.inputs, CollatedInputs):
        if wanted != "auto":
            store.notes.append(
                Note("trained one after another, not fused: collate() makes batches of unequal examples")
            )
        return Way()
    if wanted == "processes":
        return _processes(plan, group, store.notes)
    several = _several(plan, forks) if wanted == "auto" else {}
    key = ("way", wanted, len(group), plan.device.type, parent_watch.processors())
    made = store.decided(Decision, *key)
    if made is None or made.chunk * made.workers * made.need > LEEWAY * memory_estimate.room(plan.device):
        with random_streams.untouched():
            made = _decide(_uncompiled(plan), group, several, timed=wanted == "auto")
            memory_estimate.release()
        store.decide(made, *key)
    if made.reason and made.workers == 1:
        store.notes.append(Note(f"trained one after another, not fused: {made.reason}"))
    return Way(made.chunk, made.workers)


def together(plan: TrainingPlan, lanes: Sequence[int], wanted: str, store: ReplicateCache) -> bool:
    """Whether a fixed group of `lanes` trains fused, where groups go to devices: the same whatever their number."""
    if len(lanes) == 1 or wanted in ("sequential", "processes"):
        return False
    if isinstance(plan.train.inputs, CollatedInputs):
        return way(plan, lanes, wanted, store).chunk > 1
    key = ("devices", wanted, len(lanes), plan.device.type)
    made = store.decided(Decision, *key)
    if made is None:
        with random_streams.untouched():
            made = _decide(_uncompiled(plan), lanes, {}, timed=wanted == "auto")
            memory_estimate.release()
        store.decide(made, *key)
    if made.reason:
        store.notes.append(Note(f"trained one after another, not fused: {made.reason}"))
    return made.chunk > 1


def _processes(plan: TrainingPlan, group: Sequence[int], notes: list[Note]) -> Way:
    if plan.device.type != "cpu" or parent_watch.processors() == 1:
        notes.append(Note("trained one after another, not in processes: there is one processor"))
        return Way()
    with random_streams.untouched():
        room = _room(
            plan, needed(_uncompiled(plan), group[0]) + _own(plan, FORK if worker_processes.forks() else START)
        )
    if room == 1:
        notes.append(Note("trained one after another, not in processes: two replicates do not fit into memory"))
    return Way(workers=min(parent_watch.processors(), len(group), room))


def _several(plan: TrainingPlan, forks: bool) -> dict[int, float]:
    """Numbers of worker processes that are worth a thought, and the seconds until they are ready.

    None for a model that keeps several processors busy by itself: workers would only be in each other's way.
    """
    if plan.device.type != "cpu" or torch.get_num_threads() > 1:
        return {}
    found = {parent_watch.processors(): START}
    if forks and worker_processes.forks():
        found[parent_watch.share()] = FORK
    return {count: start for count, start in found.items() if count > 1}


def _decide(plan: TrainingPlan, group: Sequence[int], several: dict[int, float], *, timed: bool) -> Decision:
    large = timed and plan.device.type == "cpu" and thread_count.multiply_adds(plan) >= thread_count.SMALL
    if large and not several:
        return Decision(1, 1, 0, "")
    need = needed(plan, group[0])
    room = _room(plan, need)
    if large:
        largest, reason = 1, ""  # never sooner done in lanes, and finding that out would take its time
    else:
        largest, reason = _fusable(plan, group, room)
        reason = reason or _crowded(need, largest)
    if not timed:
        return Decision(largest, 1, need, reason)
    try:
        return _soonest(plan, group, several, need, largest, reason)
    except NotFusable as error:
        return _soonest(plan, group, several, need, 1, str(error))
    except Exception as error:
        if not memory_estimate.exhausted(error):
            raise
        return Decision(1, 1, need, _CROWDED)


def _soonest(
    plan: TrainingPlan, group: Sequence[int], several: dict[int, float], need: int, largest: int, reason: str
) -> Decision:
    starts, room = {Way(largest): 0.0, Way(): 0.0}, _room(plan, need)
    for processes, start in several.items():
        ways = _spread(len(group), _room(plan, need + _own(plan, start)), largest > 1, processes)
        starts |= {way: min(start, starts.get(way, start)) for way in ways}
    times = _times(plan, group, sorted({way.chunk for way in starts}), room)
    steps = plan.params.train.epochs * len(cuts(len(plan.train), plan.params.train.batch_size))

    def seconds(way: Way) -> float:
        busiest = -(-len(group) // way.workers) * steps * times[way.chunk]
        return starts[way] + (busiest / PARALLEL if way.workers > 1 else busiest)

    chosen = min(starts, key=seconds)  # of equals the first, in this process
    return Decision(chosen.chunk, chosen.workers, need, reason)


def _fusable(plan: TrainingPlan, group: Sequence[int], room: int) -> tuple[int, str]:
    """How many replicates a chunk may have, or 1 and the reason."""
    try:
        equivalence_check.prove(plan, group)
    except NotFusable as error:
        return 1, str(error)
    except Exception as error:
        if not memory_estimate.exhausted(error):
            raise
        return 1, _CROWDED
    return max(map(len, memory_estimate.chunks(group, room))), ""


def _crowded(need: int, largest: int) -> str:
    return f"one replicate takes {need / 2**20:.0f} MiB, and two do not fit" if largest == 1 else ""


def _own(plan: TrainingPlan, start: float) -> int:
    """Bytes that a worker started afresh has for itself: an interpreter with torch, and the data."""
    return 0 if start == FORK else AFRESH + plan.train.resident + plan.evaluate.resident


def _room(plan: TrainingPlan, need: int) -> int:
    """Replicates of `need` bytes that fit into memory at once."""
    return max(1, memory_estimate.room(plan.device) // need)


def needed(plan: TrainingPlan, number: int) -> int:
    """Bytes of one replicate in training."""
    engine = equivalence_check.alone(plan, number)
    inputs, targets = next(_batches(plan, [number]))
    return memory_estimate.per_replicate(engine, memory_estimate.activations(engine, inputs, targets))


def _uncompiled(plan: TrainingPlan) -> TrainingPlan:
    """Trials take a few steps, and compiling takes longer than all of them."""
    machine = msgspec.structs.replace(plan.params.machine, compile=False)
    return replace(plan, params=msgspec.structs.replace(plan.params, machine=machine))


def _times(plan: TrainingPlan, group: Sequence[int], chunks: Sequence[int], room: int) -> dict[int, float]:
    """Seconds of a step of one replicate, in a chunk of each size; no more than `room` replicates at once."""
    if sum(chunks) <= room:
        return _in_turns(plan, group, chunks)
    found: dict[int, float] = {}
    for chunk in chunks:
        found |= _in_turns(plan, group, [chunk])
        memory_estimate.release()
    return found


def _in_turns(plan: TrainingPlan, group: Sequence[int], chunks: Sequence[int]) -> dict[int, float]:
    ways = [_Timed(plan, group[:chunk]) for chunk in chunks]
    for _ in range(1 + TIMED):  # in turns, so that other work on the machine meets each
        for one in ways:
            one.step()
    return {chunk: one.seconds for chunk, one in zip(chunks, ways, strict=True)}


def _spread(count: int, room: int, fusable: bool, processes: int) -> list[Way]:
    """Ways to spread `count` replicates over up to so many processes, as many at once as fit into memory."""
    alone = Way(1, min(processes, count, room))
    workers = min(processes, count // 2, room // 2)
    lanes = [Way(min(-(-count // workers), room // workers), workers)] if fusable and workers > 1 else []
    return [way for way in (alone, *lanes) if way.workers > 1]


class _Timed:
    """A throw-away engine whose steps are timed; the first warms up and does not count, the fastest does."""

    def __init__(self, plan: TrainingPlan, numbers: Sequence[int]) -> None:
        self.engine: Engine = (
            equivalence_check.alone(plan, numbers[0]) if len(numbers) == 1 else equivalence_check.fused(plan, numbers)
        )
        self.batches = _batches(plan, numbers)
        self.times: list[float] = []
        # A single thread is timed by its own clock, which other processes do not move.
        single = plan.device.type == "cpu" and torch.get_num_threads() == 1
        self.clock = time.thread_time if single else time.perf_counter

    def step(self) -> None:
        inputs, targets = next(self.batches)
        started = self.clock()
        step = partial(self.engine.step, inputs, targets, 0.0, len(self.times) + 1)
        float((equivalence_check.guarded(self.engine, step) if isinstance(self.engine, Fused) else step()).sum())
        self.times.append(self.clock() - started)

    @property
    def seconds(self) -> float:
        """Of one step of one replicate."""
        return min(self.times[1:]) / self.engine.lanes


def _batches(plan: TrainingPlan, numbers: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    feed = plan.feed(numbers)
    while True:
        yield from feed.epoch(1)


def describe(chosen: Way, wanted: str, progress: Watcher) -> None:
    """Say in the log what was chosen."""
    how = "one after another" if chosen.chunk == 1 else f"{chosen.chunk} at a time"
    where = f" in each of {chosen.workers} processes" if chosen.workers > 1 else ""
    progress.log(f"execution {wanted}: replicates train {how}{where}")
