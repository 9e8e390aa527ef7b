"""Which way to train a group: together, one after another, or in processes.

`auto` times a few steps of each way on throw-away models and picks the cheapest. The choice is the
machine's business: it is recorded for each replicate and is no part of a strategy's identity.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import torch
from torch import Tensor

from assay.keeping.progress import Progress
from assay.keeping.replicates import Store
from assay.learning import memory, seeding, trust, workers
from assay.learning.engine import Engine
from assay.learning.feed import Feed, cuts
from assay.learning.fused import NotFusable
from assay.learning.plan import Plan
from assay.outside import lifeline

#: timed steps of each way, the fastest counts: other work on the machine only ever slows one down
TIMED = 4
#: seconds until a worker process is ready to train: interpreter, torch, data
START = 3.0
#: the same for a copy of this process
FORK = 0.1
#: workers share memory bandwidth and caches; two on two cores were seen to reach 1.85 times one
PARALLEL = 0.9


@dataclass(frozen=True)
class Way:
    """How to train: `chunk` replicates at a time (1: one after another) in each of `workers` processes."""

    chunk: int = 1
    workers: int = 1


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What trying out a group told. Kept in the cache, so that a run that is started again decides alike."""

    room: int  # replicates that fit into memory at once
    largest: int  # replicates in a chunk; 1 when they cannot be fused
    reason: str  # why not
    times: dict[int, float]  # chunk → seconds of a step of one replicate in it; empty when nobody asked


def way(plan: Plan, numbers: Sequence[int], wanted: str, store: Store, *, forks: bool = True) -> Way:
    """The way that `execution` asks for; a line in `store.notes` when another one has to be taken.

    Without `forks` only a training that is long enough for processes started afresh is spread over any.
    """
    if len(numbers) == 1 or wanted == "sequential":
        return Way()
    if wanted == "processes":
        return _processes(plan, numbers, store.notes)
    several = _several(plan, forks) if wanted == "auto" else {}
    key = ("trial", wanted, len(numbers), plan.device.type, [*several.items()])
    trial = store.recall(Trial, *key)
    if trial is None:
        with seeding.untouched():
            trial = _try(_uncompiled(plan), numbers, several, timed=wanted == "auto")
        store.remember(trial, *key)
    chosen = Way(trial.largest) if wanted == "fused" else _cheapest(plan, len(numbers), trial, several)
    if trial.reason and chosen.workers == 1:
        store.notes.append(f"trained one after another, not fused: {trial.reason}")
    return chosen


def _processes(plan: Plan, numbers: Sequence[int], notes: list[str]) -> Way:
    workers = min(lifeline.processors(), len(numbers))
    if plan.device.type != "cpu" or workers == 1:
        notes.append("trained one after another, not in processes: there is one processor")
        return Way()
    return Way(workers=workers)


def _fusable(plan: Plan, numbers: Sequence[int]) -> tuple[int, int, str]:
    """How many replicates fit into memory, how many into a chunk, and why only one."""
    need = needed(plan, numbers[0])
    room = max(1, int(memory.SHARE * memory.available(plan.device) / need))
    try:
        trust.prove(plan, numbers)
    except NotFusable as error:
        return room, 1, str(error)
    chunk = max(map(len, memory.chunks(numbers, room)))
    return room, chunk, "" if chunk > 1 else f"one replicate takes {need / 2**20:.0f} MiB, and two do not fit"


def needed(plan: Plan, number: int) -> int:
    """Bytes of one replicate in training."""
    engine = trust.alone(plan, number)
    inputs, targets = next(_batches(plan, [number]))
    return memory.per_replicate(engine, memory.activations(engine, inputs, targets))


def _uncompiled(plan: Plan) -> Plan:
    """Trials take a few steps, and compiling takes longer than all of them."""
    machine = msgspec.structs.replace(plan.params.machine, compile=False)
    return replace(plan, params=msgspec.structs.replace(plan.params, machine=machine))


def _several(plan: Plan, forks: bool) -> dict[int, float]:
    """Numbers of worker processes that are worth a thought, and the seconds until they are ready."""
    if plan.device.type != "cpu":
        return {}
    processors = lifeline.processors()
    found = {processors: START}
    if forks and workers.forks():
        found[lifeline.share()] = FORK
    return {count: start for count, start in found.items() if count > 1}


def _try(plan: Plan, numbers: Sequence[int], several: dict[int, float], *, timed: bool) -> Trial:
    room, largest, reason = _fusable(plan, numbers)
    if not timed:
        return Trial(room, largest, reason, {})
    spread = [way.chunk for count in several for way in _spread(len(numbers), room, largest, count)]
    ways = [_Timed(plan, numbers[:chunk]) for chunk in sorted({1, largest, *spread})]
    try:
        for _ in range(1 + TIMED):  # in turns, so that other work on the machine meets each
            for one in ways:
                one.step()
    except Exception as error:
        if not memory.exhausted(error):
            raise
        return Trial(1, 1, "two replicates at a time do not fit into memory", {1: 0.0})
    return Trial(room, largest, reason, {one.engine.lanes: one.seconds for one in ways})


def _spread(count: int, room: int, largest: int, processes: int) -> list[Way]:
    """Ways to spread `count` replicates over up to so many processes: one at a time in each, and all in lanes.

    No lane stays alone among lanes: it would be trained as one, with other last bits.
    """
    alone = Way(1, min(processes, count, room))
    workers = min(processes, count // 2)
    lanes = [Way(-(-count // workers), workers)] if count <= largest else []
    return [way for way in (alone, *lanes) if way.workers > 1]


class _Timed:
    """A throw-away engine whose steps are timed; the first warms up and does not count, the fastest does."""

    def __init__(self, plan: Plan, numbers: Sequence[int]) -> None:
        self.engine: Engine = trust.alone(plan, numbers[0]) if len(numbers) == 1 else trust.fused(plan, numbers)
        self.batches = _batches(plan, numbers)
        self.times: list[float] = []
        # A single thread is timed by its own clock, which other processes do not move.
        single = plan.device.type == "cpu" and torch.get_num_threads() == 1
        self.clock = time.thread_time if single else time.perf_counter

    def step(self) -> None:
        inputs, targets = next(self.batches)
        started = self.clock()
        float(self.engine.step(inputs, targets, 0.0, len(self.times) + 1).sum())
        self.times.append(self.clock() - started)

    @property
    def seconds(self) -> float:
        """Of one step of one replicate."""
        return min(self.times[1:]) / self.engine.lanes


def _cheapest(plan: Plan, count: int, trial: Trial, several: dict[int, float]) -> Way:
    """The way that is soonest done; of equals the first, in this process."""
    steps = plan.params.train.epochs * len(cuts(len(plan.train), plan.params.train.batch_size))
    starts = {Way(trial.largest): 0.0, Way(): 0.0}
    for processes in several:
        for way in _spread(count, trial.room, trial.largest, processes):
            starts[way] = min(several[processes], starts.get(way, START))

    def seconds(way: Way) -> float:
        busiest = -(-count // way.workers) * steps * trial.times[way.chunk]
        return starts[way] + (busiest / PARALLEL if way.workers > 1 else busiest)

    return min(starts, key=seconds)


def _batches(plan: Plan, numbers: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    feed = Feed(plan.task, plan.train, plan.params.train.batch_size, [plan.streams(number) for number in numbers])
    while True:
        yield from feed.epoch(1)


def describe(chosen: Way, wanted: str, progress: Progress) -> None:
    """Say in the log what was chosen."""
    how = "one after another" if chosen.chunk == 1 else f"{chosen.chunk} at a time"
    where = f" in each of {chosen.workers} processes" if chosen.workers > 1 else ""
    progress.log(f"execution {wanted}: replicates train {how}{where}")
