"""Both arms at once, before the stages that ask for them: in lanes of one training where they are alike, else the
candidate beside the baseline.

Covers: whether either of them pays, and training into the cache. Not covered: results; the stages take from the
cache what they find, do the rest, and say what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from assay.ahead import lanes
from assay.keeping import answers
from assay.keeping.sample import Sample
from assay.learning import choose, device, memory, replicas, work
from assay.learning.choose import Way
from assay.learning.group import Group
from assay.learning.prepared import prepare
from assay.outside import files, seconds
from assay.words.params import Params
from assay.words.records import APART, BESIDE, TOGETHER, MeasureRequest

#: seconds of training up to which nothing is lost when it is cut off: longer ones have checkpoints of their own
BRIEF = 30.0
#: share of what a group may take of the memory at hand: the other arm takes as much
HALF = 0.5


class Arm(NamedTuple):
    """What one arm is asked, and its parameters."""

    request: MeasureRequest
    settings: Params


def train(root: Path, arms: Sequence[Arm], sample: Sample, scratch: Path, say: Callable[[str], None]) -> None:
    """Train what no cache has of `arms`: the candidate, and the baseline where it may share its lanes.

    Only what `auto` finds to be brief, and no loop of a task's own: nobody knows what it uses. The candidate trains
    beside the baseline where a processor would lie idle and memory allows it. `say` is told what begins. Curves and log
    go to `scratch`.
    """
    request, settings = arms[0]
    ready = prepare(request, root, settings, sample)
    if ready.task.fit is not None or request.execution != "auto":
        return
    watched = msgspec.structs.replace(request, curves=str(scratch / "curves.csv"), log=str(scratch / "log"))
    progress = answers.watched(watched, settings)
    try:
        with (
            device.products(settings.train.precision),
            device.determinism(settings.train.deterministic) as nondeterministic,
        ):
            groups = [ready.group(*arm, progress, nondeterministic) for arm in arms]
            if len(groups) > 1:
                if lanes.train(groups, progress, lambda way: _brief(way) and _said(say, TOGETHER)):
                    _keep_log(groups, watched, "both arms were trained together, ahead of their stages:")
                    return
                say(APART)
            alone = ready.group(request, settings, progress, nondeterministic)
            if _fits_beside(alone):
                say(BESIDE)
                alone.outcomes()
                _keep_log([alone], watched, "trained ahead of this stage, beside the baseline:")
    finally:
        progress.close()
        seconds.mark("training")


def _keep_log(groups: Sequence[Group], watched: MeasureRequest, how: str) -> None:
    """Let the stage that finds the replicates tell how they came about."""
    lines = [how, *files.read_bytes(Path(watched.log)).decode().splitlines()]
    for group in groups:
        group.store.keep_log(group.request.replicates, lines)


def _said(say: Callable[[str], None], word: str) -> bool:
    say(word)
    return True


def _brief(way: Way) -> bool:
    return way.workers == 1 and 0 < way.seconds < BRIEF


def _fits_beside(group: Group) -> bool:
    plan, numbers = group.plan, group.request.replicates
    if plan.device.type != "cpu":
        return False
    replicas.check(plan)
    with work.threads(plan):
        if torch.get_num_threads() > 1:
            return False
        way = choose.way(plan, numbers, group.request.execution, group.store)
        room = HALF * memory.SHARE * memory.available(plan.device)
        return _brief(way) and way.chunk * choose.needed(plan, numbers[0]) <= room
