"""A recorder beside a loop of the task's own, in the loop's process.

It is imported by the name that a job brings, so that no fingerprint of training holds it, and whatever goes wrong in it
is a sentence in its record. Covers: beginning and ending it. Not covered: what it takes down
(`recorder.loop_recorder`), who asks for one (`stages.train_recorder`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from assay.training import random_streams
from assay.training.recorder_beside_lanes import failed
from assay.training.training_spec import Recording


class RecordedLoop:
    """The recorder of one replicate, where `wanted` asks for one."""

    def __init__(self, wanted: Recording | None) -> None:
        self._recorder: Any = None
        self._record = b""
        if wanted is not None:
            self._guarded(self._begin, wanted)

    def _begin(self, wanted: Recording) -> None:
        self._recorder = importlib.import_module(wanted.module).LoopRecorder(wanted)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around the call of fit()."""
        if self._recorder is not None:
            self._guarded(self._recorder.begin)
        try:
            yield
        finally:
            if self._recorder is not None:
                self._guarded(self._recorder.end)

    def taken(self, *found: Any) -> bytes:
        """The record, from what fit() returned, the examples, and what was predicted."""
        if self._recorder is not None:
            self._guarded(self._end, *found)
        return self._record

    def _end(self, *found: Any) -> None:
        self._record = self._recorder.taken(*found)

    def _guarded(self, action: Callable[..., None], *given: Any) -> None:
        try:
            with torch.no_grad(), random_streams.untouched():
                action(*given)
        except Exception as error:  # whatever it is, it is no fault of the loop
            self._recorder, self._record = None, failed(error)
