"""How many replicates fit into one fused chunk.

An analytic count: per replicate the rows of `theta`, its gradient, the rule's slots and temporaries, the
frozen rest, and what one step keeps for its backward pass, which a sequential step tells exactly.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from assay.core.errors import UsageError
from assay.runtime import container_limits, files
from assay.training.engine import Engine
from assay.training.sequential_engine import Sequential

#: share of a GPU's free memory that a chunk may claim; the rest is for the allocator and for others
SHARE = 0.7
#: the same of the host's, where malloc keeps what a step has freed: up to 3.5 times the count was seen resident
HOST_SHARE = 0.25
TEMPORARIES = 2  # rows that an update needs at once


def activations(engine: Sequential, inputs: Tensor, targets: Tensor) -> int:
    """Bytes that one step of one replicate keeps for its backward pass, parameters not counted."""
    own = {engine.theta.untyped_storage().data_ptr()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        engine.differentiate(inputs, targets)
    return sum(kept.values())


def per_replicate(engine: Engine, kept: int) -> int:
    """Bytes of one replicate in training; `kept` are its activations."""
    row = engine.theta.shape[1] * engine.theta.element_size()
    frozen = sum(one[0].numel() * one.element_size() for one in engine.buffers().values())
    more = (engine.settings.accumulate > 1) + bool(engine.settings.ema_decay)
    return row * (2 + len(engine.slots) + TEMPORARIES + more) + frozen + kept


def available(device: torch.device) -> int:
    """Bytes free on the device, or on the host and within the limits of a container or a batch system."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for itself
        return int(torch.cuda.mem_get_info(device)[0] + kept)
    return int(min(_host(), container_limits.memory()))


def room(device: torch.device) -> int:
    """Bytes that a chunk may claim, by the count above."""
    return int((HOST_SHARE if device.type == "cpu" else SHARE) * available(device))


def _host() -> int:
    try:
        text = files.read_bytes(Path("/proc/meminfo")).decode()
        lines = dict(line.split(":", 1) for line in text.splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (UsageError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def release() -> None:
    """Give back to the system what malloc keeps of freed memory: a chunk may need it in other pieces."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc has it
    if trim is not None:
        trim(0)


def chunks(numbers: Sequence[int], largest: int) -> list[list[int]]:
    """`numbers` in order, in chunks of nearly the same size, none over `largest`."""
    count = -(-len(numbers) // max(1, largest))
    size, more = divmod(len(numbers), count)
    ends = [size * (index + 1) + min(index + 1, more) for index in range(count)]
    return [list(numbers[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def exhausted(error: BaseException) -> bool:
    """Whether `error` says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in said or "not enough memory" in said)
