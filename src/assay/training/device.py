"""The device: which one, how precise, how reproducible, and what it cost.

Covers: choice of device, determinism without importing the compiler, precision, utilisation, peak memory.
Not covered: how many replicates fit (`memory_estimate`).
"""

from __future__ import annotations

import os
import re
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import torch
from msgspec import UNSET, UnsetType
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.core.schemas import Note
from assay.runtime import accelerators, device_places, fork_safety
from assay.runtime.device_places import DevicePlace, Devices

# cuBLAS reads it once, when CUDA starts; without it matrix products are not reproducible.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# MKL reads it once, when it is first used; without it the last bits of a product depend on where in memory it lies, and
# so a lane's on how many lanes lie before it (Intel oneMKL developer guide, Conditional Numerical Reproducibility).
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


def choose(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means here."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError(f"machine.device is {name!r} but torch sees no CUDA device", allowed="auto, cpu")
    index = int(name.partition(":")[2] or 0)
    if index >= torch.cuda.device_count():
        raise UsageError(f"machine.device is {name!r}", allowed=f"cuda:0 to cuda:{torch.cuda.device_count() - 1}")
    return torch.device("cuda", index)


def places(name: str, devices: Devices | UnsetType) -> list[DevicePlace]:
    """Where replicates train at the same time, a process each; none where `machine.devices` is not set.

    The driver is not started, so that this process can still be copied.
    """
    if devices is UNSET:
        return []
    device_places.refuse_one(name)
    count = _gpus(name)
    if name == "cuda" and not count:
        choose(name)  # says so
    words = [one.uuid for one in accelerators.visible()] if count else []
    return device_places.find(devices, words or [str(number) for number in range(count)])


def team(name: str, count: int) -> str:
    """The kind of device that `count` processes of one replicate get each: `cuda` or `cpu`.

    Raises UsageError for fewer GPUs than processes.
    """
    gpus = _gpus(name)
    if not gpus:
        return "cpu"
    if gpus < count:
        raise UsageError(
            f"train.processes_per_replicate is {count}, and there are {gpus} GPUs",
            allowed=f"up to {gpus}",
            hint="lower it, or set machine.device: cpu in params.yaml",
        )
    return "cuda"


def _gpus(name: str) -> int:
    """How many there are for `machine.device`."""
    with fork_safety.without_driver():
        return torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0


def first(name: str, devices: Devices | UnsetType) -> torch.device:
    """The device of this process: that of `name`, or the first of `machine.devices`."""
    found = choose(name)
    if devices is UNSET or found.type == "cpu":
        return found
    number = places(name, devices)[0].number
    return torch.device("cuda", number) if number < torch.cuda.device_count() else found


def cast(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """`module` (in place) on the device in this precision. `Module.to` would drop imaginary parts."""

    def same_kind(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(dtype.to_complex())
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    if any(one.is_complex() for one in (*module.parameters(), *module.buffers())):
        module.to(device)._apply(same_kind)  # type: ignore[no-untyped-call]
        return module
    return module.to(device, dtype)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Mixed precision in bfloat16 where asked for. Its weight cache would leak between replicates, hence off."""
    if precision != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


@contextmanager
def determinism(wanted: bool) -> Iterator[list[str]]:
    """Deterministic kernels inside the block; the list fills with operations that have none.

    The public `torch.use_deterministic_algorithms` also sets a flag of the compiler and imports it for
    that, which takes longer than training a small network; these are the switches underneath. Filling
    uninitialised memory, which comes along by default, is a debugging aid and costs a pass per tensor.
    """
    offending: list[str] = []
    if not wanted:
        yield offending
        return
    before = torch._C._get_deterministic_algorithms(), torch._C._get_deterministic_algorithms_warn_only()
    filled = torch._C._get_deterministic_fill_uninitialized_memory()
    cudnn = torch.backends.cudnn.deterministic
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    torch._C._set_deterministic_fill_uninitialized_memory(False)
    torch.backends.cudnn.deterministic = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", message=".*does not have a deterministic implementation")
            show = warnings.showwarning

            def note(message: Warning | str, *rest: Any, **more: Any) -> None:
                found = re.match(r"(\S+) does not have a deterministic", str(message))
                if not found:
                    show(message, *rest, **more)
                elif found[1] not in offending:
                    offending.append(found[1])

            warnings.showwarning = note
            yield offending
    finally:
        torch._C._set_deterministic_algorithms(before[0], warn_only=before[1])
        torch._C._set_deterministic_fill_uninitialized_memory(filled)
        torch.backends.cudnn.deterministic = cudnn


@contextmanager
def products(precision: str) -> Iterator[None]:
    """TensorFloat-32 inside matrix products and convolutions of a GPU exactly where `precision` says so.

    By default torch uses it in convolutions alone, which is neither what float32 says nor all the speed.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def arranged(inputs: Any, precision: str) -> Any:
    """Images of a half-precision step on a GPU, channels last as its tensor cores read them; others as they are."""
    if isinstance(inputs, Tensor) and inputs.ndim == 4 and inputs.is_cuda and precision == "bfloat16":
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs


class Compiled:
    """A function through `torch.compile`; where that fails, the function itself, and `failed` says why."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.failed = ""
        self._compiled: Callable[..., Any] | None = torch.compile(function)

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(*arguments)
            except Exception as error:
                self.failed = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                self._compiled = None
        return self.function(*arguments)


#: lists that fill with every reading of `utilisation`
_meters: list[list[int]] = []


@contextmanager
def metered() -> Iterator[list[int]]:
    """The list fills with what `utilisation` tells inside the block, whoever asks it."""
    readings: list[int] = []
    _meters.append(readings)
    try:
        yield readings
    finally:
        _meters.pop()


def utilisation(device: torch.device) -> int | None:
    """Percent of the last moments in which the accelerator was busy; None where nobody can tell."""
    found = _busy(device)
    if found is not None:
        for readings in _meters:
            readings.append(found)
    return found


def _busy(device: torch.device) -> int | None:
    if device.type != "cuda":
        return None
    try:
        return int(torch.cuda.utilization(device))
    except Exception:  # NVML has errors of its own, e.g. for a share of a GPU; none of them is worth a training
        return None


def unmetered(device: torch.device) -> list[Note]:
    """A note where a GPU's utilisation stays unknown for want of a package."""
    if device.type != "cuda" or torch.version.hip or find_spec("pynvml"):
        return []
    return [Note("the GPU's utilisation is not known: nvidia-ml-py is not installed; pip install nvidia-ml-py")]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with `count` threads inside an operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory(device: torch.device) -> int:
    """Bytes at the worst moment so far: on the accelerator, else of this process or its largest worker."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) * unit
