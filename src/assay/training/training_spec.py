"""What is to be trained, without saying how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from assay.core.params_yaml import Params
from assay.data.storage import Examples
from assay.training import batches
from assay.training.batches import Feed, Tensors
from assay.training.checkpoint import Checkpoints
from assay.training.mixing import Mixing
from assay.training.random_streams import Streams
from assay.training.task_interface import Task

#: validation examples whose predictions a recorder follows
FOLLOWED = 32


class Recording(NamedTuple):
    """What is taken down beside a training. `module`: its recorder, by name; `number`: the replicate; `rows`: evaluated
    examples, evenly spaced, `ids`: theirs; `classes`: names."""

    module: str
    number: int
    rows: tuple[int, ...]
    ids: tuple[str, ...]
    classes: tuple[str, ...] | None

    @classmethod
    def of(cls, module: str, number: int, evaluated: Examples) -> Recording:
        """Of examples in their order, without a draw: the same ones for each replicate and each run."""
        count = min(FOLLOWED, len(evaluated))
        rows = tuple(place * len(evaluated) // count for place in range(count))
        return cls(module, number, rows, tuple(str(evaluated.ids[row]) for row in rows), evaluated.classes)


@dataclass(frozen=True)
class TrainingPlan:
    """Task, parameters and data of a group, ready for the device."""

    task: Task
    params: Params
    device: torch.device
    seed: int
    purpose: str
    train: Tensors
    evaluate: Tensors
    classes: int | None
    outputs: int | dict[str, int]  # classes, or entries of a target; by name where there are several
    soft: Tensor | None = None  # (N, K) targets to train on in place of class numbers
    holdout: Tensors | None = None  # part of the training examples that only says when to stop
    checkpoints: Checkpoints | None = None
    recording: Recording | None = None

    @property
    def updates_per_epoch(self) -> int:
        """Training steps of an epoch: batches, or so many of them together as `train.accumulate` says."""
        settings = self.params.train
        return -(-len(batches.cuts(len(self.train), settings.batch_size)) // settings.accumulate)

    def feed(self, numbers: Sequence[int], loaders: int = 0) -> Feed:
        """Batches for these replicates, as they train."""
        settings = self.params.train
        data = self.train if self.soft is None else replace(self.train, targets=self.soft)
        mixing = Mixing.of(settings, self.classes if self.soft is None else None)
        streams = [self.streams(number) for number in numbers]
        return Feed(self.task, data, settings.batch_size, streams, loaders, mixing)

    def streams(self, number: int) -> Streams:
        return Streams(self.seed, self.purpose, number)
