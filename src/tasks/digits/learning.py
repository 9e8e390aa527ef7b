"""Digits: a small multi-layer perceptron on 8×8 grey images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def model(
    shape: tuple[int, ...], outputs: int, *, hidden: int = 64, layers: int = 1, dropout: float = 0.0
) -> nn.Module:
    """A perceptron from `shape` inputs to `outputs` logits; keyword arguments come from `model:` in params.yaml."""
    width = int(torch.Size(shape).numel())
    stack: list[nn.Module] = [nn.Flatten()]
    for _ in range(layers):
        stack += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
        width = hidden
    return nn.Sequential(*stack, nn.Linear(width, outputs))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the batch. `log_softmax` and `gather` are what fuses fastest over replicates."""
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()


def preprocess(inputs: Tensor) -> Tensor:
    """Grey levels 0…16 to 0…1."""
    return inputs.float() / 16.0
