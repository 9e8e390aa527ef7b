"""Noticing, within two steps, that a replicate has left the finite numbers, and where.

Covers: loss, gradients and parameters while training; predictions afterwards. Not covered: what a
diverged replicate means for a verdict.

One sum over all parameters tells whether anything is wrong: NaN and Inf survive addition. On the host it
is read at once. On an accelerator reading would stall it, so the sums of a step are read while the next
one runs, and gradients of a lane gone bad are set to zero meanwhile: its non-finite parameters then stay
the ones they were in the step that is to blame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.core.schemas import PREDICTIONS, Divergence
from assay.training.engine import Engine


@dataclass
class _LossReading:
    epoch: int
    step: int
    sums: Tensor  # (3, lanes) losses, sums of gradients, sums of parameters
    ready: torch.cuda.Event | None


class Monitor:
    """Watches the lanes of one engine; `diverged` holds, for each lane, where it happened."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.diverged: list[Divergence | None] = [None] * engine.lanes
        self.ended = [False] * engine.lanes  # lanes that stopped early: what becomes of them counts no more
        self.cuda = engine.theta.device.type == "cuda"
        self._pending: _LossReading | None = None

    @property
    def over(self) -> bool:
        """Whether no lane is left."""
        return all(where is not None or ended for where, ended in zip(self.diverged, self.ended, strict=True))

    def look(self, epoch: int, step: int, losses: Tensor) -> None:
        """Take note of one step, after its update."""
        if self.cuda:
            self._queue(epoch, step, losses)
        elif not math.isfinite((self.engine.theta.sum() + losses.sum()).item()):
            self._read(_LossReading(epoch, step, self._sums(losses), None))

    def finish(self) -> None:
        """Read what is still under way."""
        if self._pending is not None:
            self._read(self._pending)
            self._pending = None

    def predictions(self, lane: int, finite: bool, epoch: int, step: int) -> None:
        if self.diverged[lane] is None and not finite:
            self.diverged[lane] = Divergence(epoch=epoch, step=step, tensor=PREDICTIONS)

    def _sums(self, losses: Tensor) -> Tensor:
        return torch.stack([losses, self.engine.grad.sum(1), self.engine.theta.sum(1)])

    def _queue(self, epoch: int, step: int, losses: Tensor) -> None:
        sums = self._sums(losses)
        host = torch.empty(sums.shape, dtype=sums.dtype, pin_memory=True)
        host.copy_(sums, non_blocking=True)
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record()
        self.engine.freeze = ~sums.isfinite().all(0)
        before, self._pending = self._pending, _LossReading(epoch, step, host, ready)
        if before is not None:
            self._read(before)

    def _read(self, look: _LossReading) -> None:
        if look.ready is not None:
            look.ready.synchronize()
        for lane, (loss, grad, theta) in enumerate(look.sums.T.tolist()):
            if self.diverged[lane] is not None or self.ended[lane] or all(map(math.isfinite, (loss, grad, theta))):
                continue
            tensor = self._culprit(lane, loss, grad)
            if tensor:
                self.diverged[lane] = Divergence(epoch=look.epoch, step=look.step, tensor=tensor)

    def _culprit(self, lane: int, loss: float, grad: float) -> str:
        """The first tensor that is not finite; "" when only the sum overflowed."""
        if not math.isfinite(loss):
            return "loss"
        kind = "parameter" if math.isfinite(grad) else "gradient of"
        layout = self.engine.layout
        for rows in (self.engine.grad, self.engine.theta):
            for name, view in zip(layout.names, layout.views(rows), strict=True):
                if not view[lane].isfinite().all():
                    return f"{kind} {name}"
        return ""
