"""Several groups in one training: step sizes, weight decays and streams may differ from lane to lane at no cost.

Covers: training what no cache has of groups that are alike, and keeping each replicate under its own group's name in
the cache, where the run that asks for it finds it. A lane ends with the same bytes as in a fused training of its group
alone. Not covered: which groups are alike (`ahead.settings`, `ahead.arms`), and what is not fused: each run trains
that by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from assay.keeping.progress import Progress
from assay.learning import choose, loop, memory, replicas, rules, work
from assay.learning.choose import Way
from assay.learning.feed import cuts
from assay.learning.fused import Fused, NotFusable, Part
from assay.learning.group import Group
from assay.learning.plan import Plan
from assay.learning.seeding import Streams


@dataclass(frozen=True)
class Lane:
    """One replicate of one group."""

    group: Group
    number: int

    @property
    def streams(self) -> Streams:
        return Streams(self.group.request.seed, self.group.request.purpose, self.number)


def always(_way: Way) -> bool:
    return True


def train(groups: Sequence[Group], progress: Progress, begin: Callable[[Way], bool] = always) -> int:
    """Train what no cache holds of `groups`, which are alike, together; how many replicates that were.

    What cannot be fused, or costs less apart, is left to the runs that ask for it. `begin` is asked before anything is
    trained, and can refuse.
    """
    try:
        lanes = [Lane(group, number) for group in groups for number in _claimed(group, progress)]
        progress.keep = lambda outcome: None  # numbers repeat from group to group
        if len({id(lane.group) for lane in lanes}) < 2:
            return 0
        plan = replace(groups[0].plan, checkpoints=None, lanes=tuple(lane.streams for lane in lanes))
        replicas.check(plan)
        with work.threads(plan):
            group = lanes[0].group
            way = choose.way(plan, range(len(lanes)), group.request.execution, group.store)
            if way.chunk == 1 or way.workers > 1 or not begin(way):
                return 0
            chunks = memory.chunks(range(len(lanes)), way.chunk)
            # One alone would not be a batch to torch.
            return sum(_train(plan, lanes, chunk, progress) for chunk in chunks if len(chunk) > 1)
    finally:
        for group in groups:
            group.store.close()


def _claimed(group: Group, progress: Progress) -> list[int]:
    progress.keep = group.keep
    return group.claim()


def _train(plan: Plan, lanes: Sequence[Lane], chunk: list[int], progress: Progress) -> int:
    try:
        found = loop.train(plan, _engine(plan, lanes, chunk), chunk, progress)
    except NotFusable:
        return 0
    except Exception as error:
        if not memory.exhausted(error):
            raise
        return 0
    for index, outcome in zip(chunk, found, strict=True):
        lanes[index].group.keep(outcome)
    return len(found)


def _engine(plan: Plan, lanes: Sequence[Lane], chunk: list[int]) -> Fused:
    masks = replicas.masks(plan, chunk)
    modules = [replicas.module(plan, index, masks) for index in chunk]
    return Fused(plan.task, modules, plan.params, masks, list(_parts(plan, [lanes[index] for index in chunk])))


def _parts(plan: Plan, lanes: Sequence[Lane]) -> Iterator[Part]:
    """Neighbours of one group, and how it updates them."""
    steps = plan.params.train.epochs * len(cuts(len(plan.train), plan.params.train.batch_size))
    start = 0
    for _, same in itertools.groupby(lanes, lambda lane: id(lane.group)):
        count, settings = len(list(same)), lanes[start].group.settings
        size = partial(rules.step_size, settings.lr, settings.train.schedule, steps=steps)
        yield Part(slice(start, start + count), rules.rule(settings.train), size)
        start += count
