"""The class of machine that trains, as far as last bits follow from it, without importing torch.

Covers: of a GPU its MIG profile, cuDNN and the build of torch; of a CPU the instruction set that torch chooses and the
threads that it may use. Not covered: names of devices (`runtime.accelerators`), versions of packages
(`runtime.environment`). Sources: ATen/native/DispatchStub.cpp for the choice of instructions; prctl(2) for SVE.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from assay.core.schemas import Hardware
from assay.runtime import parent_watch

_PR_SVE_GET_VL = 51
#: bytes of a vector that torch has kernels for
_SVE256 = 32
#: what torch asks of a processor, best first
_X86 = {
    "AVX512": ("avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"),
    "AVX2": ("avx2", "fma"),
}
_CPUINFO = Path("/proc/cpuinfo")
_CUDNN = re.compile(r"nvidia-cudnn-cu\d+")


def of_cpu(*, pinned: bool) -> Hardware:
    """This processor's class. `pinned`: each replicate has one core."""
    return Hardware(instructions=instructions(), threads=1 if pinned else threads())


def of_gpu(mig: str) -> Hardware:
    """The class of a GPU beside its name. `mig`: profile of the instance, "" for a whole GPU."""
    return Hardware(mig=mig, cudnn=_cudnn(), torch_build=_torch_build())


def threads() -> int:
    """The most that an operation may use: what OMP_NUM_THREADS says, within the processors of this process."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    here = parent_watch.processors()
    return min(int(asked), here) if asked.isdigit() and int(asked) else here


def instructions(cpuinfo: Path = _CPUINFO) -> str:
    """What `torch.backends.cpu.get_cpu_capability()` says here."""
    asked = os.environ.get("ATEN_CPU_CAPABILITY", "").upper()
    machine = platform.machine().lower()
    flags = _flags(cpuinfo)
    if machine in ("x86_64", "amd64"):
        able = [name for name, needed in _X86.items() if flags.issuperset(needed)]
        return asked if asked in (*able, "DEFAULT") else next(iter(able), "DEFAULT")
    if machine in ("aarch64", "arm64") and asked != "DEFAULT" and {"sve", "svebf16"} <= flags:
        return "SVE256" if _sve_bytes() == _SVE256 else "DEFAULT"
    return "DEFAULT"


def _flags(cpuinfo: Path) -> set[str]:
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


def _sve_bytes() -> int:
    return int(ctypes.CDLL(None).prctl(_PR_SVE_GET_VL, 0, 0, 0, 0)) & 0xFFFF


@cache
def _cudnn() -> str:
    """Version of cuDNN: of its package, else of the library that lies in torch's; "unknown" where neither tells."""
    for one in metadata.distributions():
        if _CUDNN.fullmatch(one.name or ""):
            return one.version
    names = [path.name for path in (_torch() / "lib").glob("libcudnn.so.*")] if _torch() else []
    return max((name.removeprefix("libcudnn.so.") for name in names), default="unknown")


@cache
def _torch_build() -> str:
    """CUDA or ROCm that torch was built for, and the commit: what its version.py says, which is not run."""
    try:
        text = (_torch() / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    built = dict(re.findall(r"^(cuda|hip|git_version)\b[^=\n]*= '([^'\n]*)'", text, re.MULTILINE))
    kind = f"CUDA {built['cuda']}" if "cuda" in built else f"ROCm {built['hip']}" if "hip" in built else "CPU"
    return f"{kind} {built.get('git_version', 'unknown')[:12]}"


def _torch() -> Path:
    found = find_spec("torch")
    return Path(found.origin).parent if found and found.origin else Path("/nowhere")
