"""Values of the losses of a watched loop, each at its backward pass: at once on a CPU, two steps later on a GPU."""

from __future__ import annotations

import math
import sys
from collections import deque
from types import CodeType
from typing import Any

import torch
from torch import Tensor

from assay.doctor import user_frames
from assay.doctor.loop_state import Loop, LossSeries
from assay.doctor.nonfinite_monitor import NonFiniteMonitor

_TENSOR_BACKWARD: CodeType = Tensor.backward.__code__
#: frames between `_series` and who called torch.autograd.backward: `read`, the watch and its tap
DEPTH = 4


class LossReader:
    """Reads each loss once. A loss of one number is kept in a series for the line that called `backward`."""

    def __init__(self, loop: Loop, nonfinite: NonFiniteMonitor) -> None:
        self.loop = loop
        self.nonfinite = nonfinite
        self._waiting: deque[tuple[LossSeries, Tensor, Any]] = deque()

    def read(self, tensors: Any) -> Tensor | None:
        """The tensor whose backward pass begins, its value noted where it is one number; None where there is none."""
        loss = tensors[0] if isinstance(tensors, list | tuple) and tensors else tensors  # never an iterator's first
        if not isinstance(loss, Tensor) or loss.grad_fn is None:
            return None
        if loss.numel() != 1:
            return loss
        series, nonfinite = self._series(), self.nonfinite
        scaled = self.loop.scaled
        own = scaled[0] if scaled is not None and scaled[1] is loss else loss  # before it was multiplied
        if not own.is_cpu:
            self._wait_for(own, series)
            return loss
        value = own.item()
        series.values.append(value)
        if not math.isfinite(value):
            nonfinite.noticed(value, own, series)
        elif nonfinite.pending:
            nonfinite.pending = False  # no step was made with it
        return loss

    def _series(self) -> LossSeries:
        frame = sys._getframe(DEPTH)
        if frame.f_code is _TENSOR_BACKWARD and frame.f_back is not None:
            frame = frame.f_back
        key = (id(frame.f_code), frame.f_lasti)
        series = self.loop.series.get(key)
        if series is None:
            series = self.loop.series[key] = LossSeries(user_frames.place())
        return series

    def _wait_for(self, loss: Tensor, series: LossSeries) -> None:
        self.finish(1)
        arrived = None
        if loss.is_cuda:  # a copy that nobody waits for
            host = torch.empty((), dtype=loss.dtype, pin_memory=True)
            host.copy_(loss.detach().reshape(()), non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record()
        else:
            host = loss.detach()
        self._waiting.append((series, host, arrived))

    def finish(self, most: int = 0) -> None:
        """Read losses that are still on their way, until `most` are left."""
        while len(self._waiting) > most:
            series, host, arrived = self._waiting.popleft()
            if arrived is not None:
                arrived.synchronize()
            value = host.item()
            series.values.append(value)
            if not math.isfinite(value):
                self.nonfinite.noticed(value, None, series)
