"""What is to be trained, without saying how."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from assay.core.params_yaml import Params
from assay.learning.checkpoint import Checkpoints
from assay.learning.contract import Task
from assay.learning.feed import Tensors
from assay.learning.seeding import Streams


@dataclass(frozen=True)
class Plan:
    """Task, parameters and data of a group, ready for the device."""

    task: Task
    params: Params
    device: torch.device
    seed: int
    purpose: str
    train: Tensors
    evaluate: Tensors
    classes: int | None
    outputs: int
    checkpoints: Checkpoints | None = None

    def streams(self, number: int) -> Streams:
        return Streams(self.seed, self.purpose, number)
