"""Records of a trace: what is asked of a revision, and the states that its first steps of training went through."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.schemas import Record


class TraceRequest(Record, frozen=True, kw_only=True):
    """Train a few steps in each mode and hash everything after each: `assay stage trace REQUEST.json`.

    Answered in the tree of the revision that is asked, always on CPU. All paths are absolute.
    """

    modes: list[str]  # `default`, or a name under `modes:` in that revision's params.yaml
    profile: str
    seed: int
    steps: int
    train: str  # folder of a part
    answer: str  # JSON file to write


class ModeTrace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mode. `states[k]` is tensor → content hash after k steps; the last one holds `predictions`, too."""

    parameters: dict[str, Any]  # the resolved ones that belong to a strategy's identity
    states: list[dict[str, str]]


class Trace(Record, frozen=True, kw_only=True):
    """Answer to a TraceRequest."""

    modes: dict[str, ModeTrace]
