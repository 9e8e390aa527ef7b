"""The recorders that a training asks for by this module's name: of a lane, and of a loop of the task's own."""

from __future__ import annotations

from assay.recorder.lane_recorder import LaneRecorder
from assay.recorder.loop_recorder import LoopRecorder

__all__ = ["LaneRecorder", "LoopRecorder"]
