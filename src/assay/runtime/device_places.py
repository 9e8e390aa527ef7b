"""`machine.devices`: where replicates train at the same time, a process each: a GPU, or a core that it is pinned to.

Covers: which places there are, what is wrong with a list of them, taking one. Not covered: which replicates go where
(`training.device_processes`), what decides their bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from assay.core.errors import UsageError
from assay.runtime import accelerators, parent_watch

#: `machine.devices` as it is written: numbers, or `all`; a number that stands there twice gets two processes
Devices: TypeAlias = list[int] | Literal["all"]


class DevicePlace(NamedTuple):
    """A GPU or a core. `visible`: what CUDA_VISIBLE_DEVICES calls the GPU; "" for a core."""

    number: int
    visible: str = ""

    def __str__(self) -> str:
        return f"GPU {self.number}" if self.visible else f"core {self.number}"

    @property
    def device(self) -> str:
        """What `machine.device` is in a process that has taken this place."""
        return "cuda" if self.visible else "cpu"


def find(devices: Devices, gpus: Sequence[str]) -> list[DevicePlace]:
    """The places that `devices` names among `gpus` (what CUDA_VISIBLE_DEVICES calls each), or among cores where there
    is none. Raises UsageError for one that is not there."""
    known = [DevicePlace(number, word) for number, word in enumerate(gpus)] or [DevicePlace(core) for core in _cores()]
    if devices == "all":
        return known if gpus else known[: parent_watch.processors()]
    there = {one.number: one for one in known}
    for number in devices:
        if number not in there:
            kind = "GPU" if gpus else "core"
            raise UsageError(
                f"machine.devices names {kind} {number}, which this process does not have",
                allowed=f"all, or some of {', '.join(map(str, there))}",
                hint="set machine.devices in params.yaml",
            )
    return [there[number] for number in devices]


def take(places: Sequence[DevicePlace]) -> None:
    """Bind this process to these places; before it asks for a device, or starts threads."""
    if places and places[0].visible:
        os.environ[accelerators.VISIBLE] = ",".join(dict.fromkeys(one.visible for one in places))
    elif places and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {one.number for one in places})


def teams(places: Sequence[DevicePlace], size: int) -> list[list[DevicePlace]]:
    """`places` in teams of `size`, for replicates that take several each. Raises UsageError for too few."""
    if places and len(places) < size:
        raise UsageError(
            f"train.processes_per_replicate is {size}, and machine.devices names {len(places)}",
            allowed=f"at least {size} devices",
            hint="set machine.devices in params.yaml",
        )
    return [[*places[start : start + size]] for start in range(0, len(places) - size + 1, size)]


def refuse_one(device: str) -> None:
    """Raise UsageError where `machine.device` names a single GPU, beside a list of them."""
    if ":" in device:
        raise UsageError(
            f"machine.device is {device!r}, and machine.devices is set",
            allowed="machine.device auto, cpu or cuda with machine.devices",
            hint="remove one of them in params.yaml",
        )


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
