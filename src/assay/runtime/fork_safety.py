"""Whether this process may be copied by fork: a copy has none of its threads, and no device survives in it.

Threads of OpenMP are given back first (`omp_pause_resource_all`, OpenMP 5.0): without that, a copy of a process in
which torch used more than one thread waits forever for them. OpenBLAS and Arrow see to their own threads in a copy.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
_HARD = 2  # omp_pause_hard
#: threads that Arrow's allocator starts when it is imported
_OF_ARROW = 2
_LIBRARY = re.compile(r"^.* (/\S+)$", re.MULTILINE)


def can_fork(known: Collection[str]) -> bool:
    """Whether a copy of this process is as good as a new one. `known`: names of Python threads that hold nothing."""
    if sys.platform != "linux" or strange_threads(known):
        return False
    loaded = libraries()
    if any("libcuda.so" in name or "libamdhip64" in name or "libze_loader" in name for name in loaded):
        return False  # the driver was asked, if only whether there is a device
    for name in loaded:
        if "libgomp" in name:
            _pause(name)
    return native_threads() <= threading.active_count() + _harmless(loaded)


@contextmanager
def without_driver() -> Iterator[None]:
    """Let torch say whether there is a CUDA device without starting the driver, which no copy of a process can use."""
    if _NVML in os.environ:
        yield
        return
    os.environ[_NVML] = "1"
    try:
        yield
    finally:
        del os.environ[_NVML]


def strange_threads(known: Collection[str]) -> list[str]:
    """Names of Python threads beside the main one and `known`."""
    main = threading.main_thread()
    return [one.name for one in threading.enumerate() if one is not main and one.name not in known]


def libraries() -> set[str]:
    """Paths of shared libraries that this process has loaded."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {name for name in _LIBRARY.findall(maps) if ".so" in name}


def native_threads() -> int:
    """Threads of this process, those that no Python code started included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _pause(library: str) -> None:
    try:
        ctypes.CDLL(library).omp_pause_resource_all(_HARD)
    except (OSError, AttributeError):  # older than OpenMP 5.0: its threads are counted instead
        return


def _harmless(loaded: Collection[str]) -> int:
    """At most so many threads belong to OpenBLAS, which starts its own when it is loaded, and to Arrow."""
    each = (os.cpu_count() or 1) - 1
    blas = {name for name in loaded if "openblas" in name}
    return len(blas) * each + (_OF_ARROW if any("libarrow.so" in name for name in loaded) else 0)
