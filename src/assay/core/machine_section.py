"""The section `machine` of params.yaml: how to compute, never what. It is part of no strategy's identity."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assay.core.params_section import Section


class MachineClass(Section, frozen=True, kw_only=True):
    """One class of machine. What is left out is as on the machine where the run starts."""

    device: Annotated[str, Meta(min_length=1)] = "cpu"  # cpu, or a GPU as nvidia-smi calls it
    mig: str | UnsetType = UNSET  # profile of a MIG instance, as 1g.10gb
    cudnn: str | UnsetType = UNSET  # version of cuDNN
    torch_build: str | UnsetType = UNSET  # what torch was built for, as a run prints it
    machine: str | UnsetType = UNSET  # architecture, as x86_64
    instructions: str | UnsetType = UNSET  # of a CPU: DEFAULT, AVX2, AVX512, SVE256
    threads: Annotated[int, Meta(ge=1)] | UnsetType = UNSET  # of a CPU: the most that an operation may use


class Machine(Section, frozen=True, kw_only=True):
    device: Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    #: GPUs, or cores where there is none, that train at the same time, a process each: `all`, or a list of numbers
    devices: Literal["all"] | Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)] | None = None
    execution: Literal["auto", "fused", "sequential", "processes"] = "auto"  # how replicates train: docs/execution.md
    compile: bool = False
    loaders: Annotated[int, Meta(ge=0, le=64)] = 0  # processes that collate batches ahead, for tasks with `collate`
    #: classes of machine by names of your own, for `assay work --class` and `judge.blocks`
    classes: dict[Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")], MachineClass] = msgspec.field(
        default_factory=dict
    )
    #: what follows from what the doctor finds before training: a line, the end of `train`, nothing as it does not look
    doctor: Literal["warn", "error", "off"] = "warn"
