"""The network of the reference task, and its training, as one writes them without a framework."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

torch.set_num_threads(int(os.environ.get("THREADS", "1")))


def build(hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10))


def load(part: str) -> tuple[Tensor, Tensor]:
    table = np.load(f"data/{part}.npz")
    return torch.from_numpy(table["inputs"]).float() / 16.0, torch.from_numpy(table["targets"])


def train(inputs: Tensor, targets: Tensor, params: dict[str, Any]) -> nn.Module:
    """One training with one seed."""
    torch.manual_seed(params["seed"])
    model = build(params["hidden"], params["dropout"])
    optimizer = torch.optim.Adam(model.parameters(), lr=params["lr"])
    model.train()
    for _ in range(params["epochs"]):
        for batch in torch.randperm(len(inputs)).split(params["batch_size"]):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    return model


def accuracy(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(inputs).argmax(1) == targets).float().mean())
