"""Mixup and cutmix: each example of a batch mixed with another one, and so are their targets.

Mixup weighs inputs (Zhang et al. 2018, eq. 1–2), cutmix takes a box of the other image (Yun et al. 2019, section 3.1);
where both are on, each batch takes one of them at random. Targets of classes become probabilities (B, K). Each batch
draws from a stream of its own, of the replicate. Not covered: whether the loss takes such targets
(`training.model_init`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from assay.core.params_yaml import Train
from assay.training.random_streams import Streams


@dataclass(frozen=True)
class Mixing:
    """What is mixed, and how strongly: a share is drawn from Beta(a, a)."""

    mixup: float
    cutmix: float
    classes: int | None

    @classmethod
    def of(cls, settings: Train, classes: int | None) -> Mixing | None:
        """None where neither is on."""
        on = settings.mixup or settings.cutmix
        return cls(settings.mixup, settings.cutmix, classes) if on else None

    def soft(self, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """(…, K) probabilities of classes (…); values as they are."""
        return targets if self.classes is None else functional.one_hot(targets, self.classes).to(dtype)

    def batch(self, inputs: Tensor, targets: Tensor, streams: Sequence[Streams], place: tuple[int, int]) -> Any:
        """(lanes, B, …) inputs and targets, mixed. `place`: epoch and batch, from 1 and from 0."""
        soft = self.soft(targets, inputs.dtype)
        made = [
            self.lane(inputs[lane], soft[lane], np.random.Generator(np.random.PCG64(one.sequence("mixing", *place))))
            for lane, one in enumerate(streams)
        ]
        return torch.stack([one for one, _ in made]), torch.stack([two for _, two in made])

    def lane(self, inputs: Tensor, targets: Tensor, chance: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Inputs (B, …) and soft targets (B, …) of one replicate, mixed."""
        boxed = bool(self.cutmix) and (not self.mixup or chance.random() < 0.5)
        strength = self.cutmix if boxed else self.mixup
        share = float(chance.beta(strength, strength))
        partner = torch.from_numpy(chance.permutation(len(inputs))).to(inputs.device)
        if boxed:
            inputs, share = _cut(inputs, inputs[partner], share, chance)
        else:
            inputs = share * inputs + (1 - share) * inputs[partner]
        return inputs, share * targets + (1 - share) * targets[partner]


def _cut(inputs: Tensor, others: Tensor, share: float, chance: np.random.Generator) -> tuple[Tensor, float]:
    """`inputs` (B, …, H, W) with a box of `others`, about 1 - share of the area, and the share that is left."""
    height, width = inputs.shape[-2:]
    side = math.sqrt(1 - share)
    high, wide = int(height * side), int(width * side)
    row, column = int(chance.integers(height)), int(chance.integers(width))
    top, bottom = max(0, row - high // 2), min(height, row + high // 2)
    left, right = max(0, column - wide // 2), min(width, column + wide // 2)
    made = inputs.clone()
    made[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return made, 1 - (bottom - top) * (right - left) / (height * width)
