"""How the replicates of a plan are trained: together, one after another, or in processes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from assay.keeping.outcome import Outcome
from assay.keeping.progress import Progress
from assay.keeping.replicates import Store
from assay.learning import choose, loop, memory, trust, work, workers
from assay.learning.choose import Way
from assay.learning.engine import Engine
from assay.learning.fused import NotFusable
from assay.learning.plan import Plan


def run(plan: Plan, numbers: Sequence[int], execution: str, progress: Progress, store: Store) -> list[Outcome]:
    """Train the replicates `numbers`; their outcomes in that order."""
    with work.threads(plan):
        chosen = choose.way(plan, numbers, execution, store)
        choose.describe(chosen, execution, progress)
        if chosen.workers > 1:
            found = workers.run(plan, numbers, chosen.workers, chosen.chunk, progress, part)
        else:
            found = here(plan, numbers, chosen, progress, store.notes)
    by_number = {one.number: one for one in found}
    return [by_number[number] for number in numbers]


def here(plan: Plan, numbers: Sequence[int], way: Way, progress: Progress, notes: list[str]) -> list[Outcome]:
    """Train in this process, chunk by chunk; a chunk that does not fit or cannot be fused is cut up."""
    found: list[Outcome] = []
    waiting = memory.chunks(numbers, way.chunk)
    while waiting:
        chunk = waiting.pop(0)
        try:
            found += loop.train(plan, _engine(plan, chunk), chunk, progress)
        except NotFusable as error:
            notes.append(f"trained one after another, not fused: {error}")
            waiting = [[number] for number in chain(chunk, *waiting)]
        except Exception as error:
            if len(chunk) == 1 or not memory.exhausted(error):
                raise
            progress.log(f"{len(chunk)} replicates do not fit into memory: half as many at a time")
            waiting = memory.chunks(list(chain(chunk, *waiting)), -(-len(chunk) // 2))
    return found


def part(plan: Plan, numbers: Sequence[int], chunk: int, progress: Progress) -> list[Outcome]:
    """The share of one worker process, which knows from its parent that lanes can be trusted."""
    return here(plan, numbers, Way(chunk=chunk), progress, [])


def _engine(plan: Plan, chunk: Sequence[int]) -> Engine:
    """Fresh lanes; a single one is never fused, which would only be slower."""
    return trust.alone(plan, chunk[0]) if len(chunk) == 1 else trust.fused(plan, chunk)
