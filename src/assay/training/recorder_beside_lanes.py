"""Recorders beside a training: what a network is given and what it says, taken down without a trace in either.

A recorder is imported by the name that a plan brings, so that no fingerprint of training holds it. It looks at tensors
that are there anyway and at copies of the module (`Engine.lane_copy`), draws from no stream of the replicate, and
leaves the global generators as they were. Whatever goes wrong in it is a sentence in its record. Covers: when recorders
are asked. Not covered: what they take down (`assay.recorder`), who asks for one (`stages.train_recorder`).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from assay.training import example_batch, random_streams, task_interface
from assay.training.engine import Engine, Seen
from assay.training.training_spec import TrainingPlan


def impossible(why: str) -> bytes:
    """The record of what no recorder can take down."""
    return json.dumps({"schema": 1, "why": why, "possible": False}).encode()


def failed(error: Exception) -> bytes:
    """The record of a recorder that failed."""
    return json.dumps({"schema": 1, "why": f"the recorder failed: {task_interface.brief(error)}"}).encode()


class RecordedLanes:
    """Recorders of the lanes that train the replicate which a plan wants recorded: one, or one a setting."""

    def __init__(self, plan: TrainingPlan, engine: Engine, numbers: Sequence[int], step: int) -> None:
        """`step`: how many steps an earlier process took."""
        self._recorders: dict[int, Any] = {}
        self._taken: dict[int, bytes] = {}
        wanted = plan.recording
        for lane in [] if wanted is None else [lane for lane, one in enumerate(numbers) if one == wanted.number]:
            self._guarded(lane, self._begin, plan, engine, lane, step)

    def _begin(self, plan: TrainingPlan, engine: Engine, lane: int, step: int) -> None:
        assert plan.recording is not None
        module = importlib.import_module(plan.recording.module)
        self._recorders[lane] = module.LaneRecorder(plan, engine, lane, step)

    @property
    def waiting(self) -> bool:
        """Whether a recorder wants to see batches."""
        return any(one.waiting for one in self._recorders.values())

    def batch(self, epoch: int, step: int, inputs: Any, targets: Tensor) -> None:
        """Show a batch (lanes, B, …) that is about to go through the networks."""
        for lane, one in list(self._recorders.items()):
            if one.waiting:
                self._guarded(lane, one.batch, epoch, step, example_batch.lane(inputs, lane), targets[lane])

    def follower(self, epoch: int) -> Seen | None:
        """Who wants the outputs of the evaluation after `epoch` (from 1); None where nobody does."""
        return self._follow if any(one.wants(epoch) for one in self._recorders.values()) else None

    def _follow(self, part: slice, outputs: Tensor) -> None:
        """Rows of the evaluated part and their outputs (lanes, rows, …), which are only copied."""
        for lane, one in list(self._recorders.items()):
            try:
                one.follow(part, outputs, lane)
            except Exception as error:
                self._fail(lane, error)

    def epoch(self, epoch: int) -> None:
        """Say that the evaluation after an epoch is over."""
        for lane, one in list(self._recorders.items()):
            if one.wants(epoch):
                self._guarded(lane, one.epoch, epoch)

    def taken(self, lane: int) -> bytes:
        """The record of a lane, in the end; b"" of one without a recorder."""
        one = self._recorders.pop(lane, None)
        if one is not None:
            self._guarded(lane, self._end, lane, one)
        return self._taken.get(lane, b"")

    def _end(self, lane: int, recorder: Any) -> None:
        self._taken[lane] = recorder.taken()

    def _guarded(self, lane: int, action: Callable[..., None], *given: Any) -> None:
        try:
            with torch.no_grad(), random_streams.untouched():
                action(*given)
        except Exception as error:
            self._fail(lane, error)

    def _fail(self, lane: int, error: Exception) -> None:
        """Whatever it is, it is no fault of the training."""
        self._recorders.pop(lane, None)
        self._taken[lane] = failed(error)
