"""The last layer of a model of values: its outputs in the targets' own units.

A network begins near 0 and moves by the learning rate, so that prices of some hundred thousand are out of its reach.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TargetScale(nn.Module):
    """Outputs (B, K) times the spread of the targets that train, plus their mean.

    Both are buffers, kept with the weights. They are 1 and 0 until training calls `fit`, before the first step.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("spread", torch.ones(outputs))

    def fit(self, targets: Tensor) -> None:
        """Mean and standard deviation (in place) of targets (N,) or (N, K) that train; equal ones have the spread 1."""
        rows = targets.detach().double().cpu().reshape(len(targets), -1)
        spread = rows.std(0, correction=0)
        self.mean.copy_(rows.mean(0))
        self.spread.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs * self.spread + self.mean
