"""A request and its parameters made ready to train: examples, task, device, cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from assay.data import examples
from assay.data.examples import Examples
from assay.learning import contract, device, feed
from assay.learning.contract import Task
from assay.learning.group import Group
from assay.learning.progress import Progress
from assay.learning.store import Names, Store
from assay.words import params as parameters
from assay.words.layout import Layout
from assay.words.params import Params
from assay.words.records import MeasureRequest

NEEDED = ("ids", "inputs", "targets")


@dataclass(frozen=True)
class Prepared:
    """What every setting of a request shares, and `settings`, which may be others of the same task and sample."""

    settings: Params
    task: Task
    device: torch.device
    train: Examples  # those that really train
    evaluated: Examples
    data: str  # content of the training part as it was given
    seen: str  # content of the evaluated part
    left_out: int  # given examples that are also evaluated

    def group(
        self, request: MeasureRequest, settings: Params, progress: Progress, nondeterministic: list[str]
    ) -> Group:
        """The replicates of `request` under `settings`."""
        names = Names(
            code=request.code,
            parameters=parameters.strategy(settings),
            train=examples.content_digest(self.train),
            profile=request.profile,
            environment=request.environment,
            purpose=request.purpose,
            seed=request.seed,
        )
        folder = Path(request.cache) / "replicates" if request.cache else None
        store = Store(folder, names, self.seen, nondeterministic)
        return Group(request, settings, self.task, self.device, self.train, self.evaluated, store, progress)


def prepare(request: MeasureRequest, root: Path, settings: Params) -> Prepared:
    """Read what `request` names, with the task of `root`. Raises UsageError for what is wrong in it."""
    evaluated, today = examples.read(Path(request.evaluate), NEEDED)
    given, manifest = examples.read(Path(request.train), NEEDED)
    train, left_out = feed.without(given, evaluated)
    return Prepared(
        settings=settings,
        task=contract.load(settings.task.name, Layout(root).source, settings.model),
        device=device.choose(request.device),
        train=feed.sample(train, settings.train.sample),
        evaluated=evaluated,
        data=manifest.content,
        seen=today.content,
        left_out=left_out,
    )
