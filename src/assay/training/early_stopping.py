"""Early stopping: each lane keeps the weights of its lowest holdout loss, and ends once that has not fallen for long.

Covers: which epoch of a lane counts, and the weights of it. Not covered: which examples are held out
(`data.holdout_split`), and lanes that leave the finite numbers (`nan_detection`).

Source: Prechelt 1998, "Early stopping, but when?": the criterion of successive epochs without a lower loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from assay.training.engine import Engine


class EarlyStopping:
    """The best weights so far of each lane of an engine. `best[lane]` is the epoch that they are of, 0 before any."""

    def __init__(self, engine: Engine, patience: int | None) -> None:
        """`patience`: epochs without a lower loss after which a lane ends; None: none ends early."""
        self.engine = engine
        self.patience = patience
        self.loss = torch.full((engine.lanes,), float("inf"), dtype=torch.float64)
        self.best = [0] * engine.lanes
        self.theta = engine.theta.clone()
        self.buffers = {name: tensor.clone() for name, tensor in engine.buffers().items()}

    def look(self, epoch: int, losses: Tensor, ended: Sequence[bool]) -> list[bool]:
        """Take note of (lanes,) `losses` after `epoch`, of the weights that are in place; whether each lane has ended.

        A lane among `ended` keeps what it has. A loss that is not a number is no lower one.
        """
        lower = [loss < best and not done for loss, best, done in zip(losses, self.loss, ended, strict=True)]
        for lane, better in enumerate(lower):
            if better:
                self.best[lane] = epoch
                self.loss[lane] = losses[lane]
                self.theta[lane].copy_(self.engine.theta[lane])
                for name, tensor in self.engine.buffers().items():
                    self.buffers[name][lane].copy_(tensor[lane])
        return [done or self._waited(lane, epoch) for lane, done in enumerate(ended)]

    def _waited(self, lane: int, epoch: int) -> bool:
        return self.patience is not None and epoch - self.best[lane] >= self.patience

    def give(self) -> None:
        """Put the kept weights in place of the last ones."""
        self.engine.theta.copy_(self.theta)
        for name, tensor in self.engine.buffers().items():
            tensor.copy_(self.buffers[name])

    def state(self) -> dict[str, Any]:
        """All that the rest of a training needs to know: for a checkpoint."""
        return {"loss": self.loss, "best": self.best, "theta": self.theta, "buffers": self.buffers}

    def restore(self, state: dict[str, Any]) -> None:
        self.loss, self.best = state["loss"], [*state["best"]]
        self.theta.copy_(state["theta"])
        for name, tensor in state["buffers"].items():
            self.buffers[name].copy_(tensor)
