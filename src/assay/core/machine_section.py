"""The section `machine` of params.yaml: how to compute, never what. It is part of no strategy's identity."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from assay.core.params_section import Section


class Machine(Section, frozen=True, kw_only=True):
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    #: GPUs, or cores where there is none, that train at the same time, a process each: `all`, or a list of numbers
    devices: Literal["all"] | Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)] | None = None
    execution: Literal["auto", "fused", "sequential", "processes"] = "auto"  # how replicates train: docs/execution.md
    compile: bool = False
    loaders: Annotated[int, Meta(ge=0, le=64)] = 0  # processes that collate batches ahead, for tasks with `collate`
    #: what follows from what the doctor finds before training: a line, the end of `train`, nothing as it does not look
    doctor: Literal["warn", "error", "off"] = "warn"
