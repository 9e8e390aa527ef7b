"""The environment as far as numbers care, found without importing torch.

Covers: device, architecture, versions of the packages that training imports, variables that change how products
are computed. Not covered: what merely makes it slower or faster (threads, processor model, how memory is handed out),
which no comparison needs.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata

from msgspec import UNSET

from assay.core.errors import UsageError
from assay.core.schemas import Environment

#: they make the numbers of every task
ALWAYS = ("numpy", "torch")


#: Variables that choose kernels or precision, each with a library whose manual says so. Only where they are set do they
#: enter the key, so that an environment without them keeps the key that it always had.
VARIABLES = (
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_CUDNN_V8_API_DISABLED"),
    *("TORCH_BLAS_PREFER_CUBLASLT", "TORCH_BLAS_PREFER_HIPBLASLT", "DISABLE_ADDMM_CUDA_LT"),
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "OPENBLAS_CORETYPE"),
    *("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES"),
)
#: the same, by how their names begin: libraries add to them
FAMILIES = ("CUBLAS_", "CUBLASLT_", "CUDNN_", "PYTORCH_", "DNNL_", "ONEDNN_", "MIOPEN_")
#: parts of names in those families that say where things are, how they are logged, or how memory is handed out
HARMLESS = ("ALLOC", "MEMORY", "LOG", "VERBOSE", "VERSION", "BUILD", "HOME", "PATH", "DIR", "CACHE", "PROFIL", "NVML")

#: what training sets where nothing else is set (assay/training/device.py): naming it changes nothing
OURS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "MKL_CBWR": "AUTO,STRICT"}


def find(device: str, packages: Iterable[str], library: str = "") -> Environment:
    """Today's environment. `device` as in params.yaml; `packages` are top-level import names; `library` is the
    fingerprint of Assay's sources that train."""
    found = versions({*ALWAYS, *packages})
    if "torch" not in found:
        raise UsageError("torch is not installed", hint="pip install torch")
    return Environment(
        device=_device(device, found["torch"]),
        machine=platform.machine(),
        system=platform.system(),
        packages=found,
        library=library,
        variables=variables(os.environ) or UNSET,
    )


def of_script(device: str, python: str, packages: Mapping[str, str]) -> Environment:
    """The environment of a script's own interpreter, which has these packages; `python` is "" where it starts none."""
    found = {**({"python": python} if python else {}), **packages}
    here = "cpu" if device == "cpu" else next(iter([] if _on_cpu(packages) else _accelerators()), "cpu")
    return Environment(
        device=here,
        machine=platform.machine(),
        system=platform.system(),
        packages=found,
        variables=variables(os.environ) or UNSET,
    )


def _on_cpu(packages: Mapping[str, str]) -> bool:
    """Whether nothing that is installed there could use an accelerator."""
    frameworks = [version for name, version in packages.items() if name in ("torch", "jax", "tensorflow")]
    return not frameworks or all(version.endswith("+cpu") for version in frameworks)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Top-level import name → installed version, for those that are installed."""
    return {name: version for name in sorted(packages) if (version := _version(name))}


def listed(found: Mapping[str, str]) -> str:
    """Packages with their versions in one line, the same for the same ones."""
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def variables(found: Mapping[str, str]) -> dict[str, str]:
    """Those of the process's variables that change numbers where they are set."""
    return {name: value for name, value in found.items() if value and _counts(name) and OURS.get(name) != value}


def _counts(name: str) -> bool:
    if name in VARIABLES:
        return True
    return name.startswith(FAMILIES) and not any(part in name for part in HARMLESS)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
    for distribution in metadata.packages_distributions().get(name, []):
        return f"{distribution} {metadata.version(distribution)}"
    return None


def _device(asked: str, torch: str) -> str:
    if asked == "cpu":
        return "cpu"
    names = [] if torch.endswith("+cpu") else _accelerators()
    number = int(asked.partition(":")[2] or 0)
    if number < len(names):
        return names[number]
    if asked == "auto":
        return "cpu"
    found = f"{len(names)} CUDA devices" if names else "no CUDA device"
    raise UsageError(f"machine.device is {asked!r}, but there is {found} here", allowed="auto, cpu")


def _accelerators() -> list[str]:
    """Names of the visible CUDA devices, in CUDA's order."""
    tool = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if tool is None or visible in ("", "-1"):
        return []
    command = [tool, "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        return []
    rows = [[cell.strip() for cell in line.split(",", 2)] for line in done.stdout.splitlines() if line.count(",") >= 2]
    if visible is None:
        return [name for _, _, name in rows]
    wanted = [item.strip() for item in visible.split(",")]
    return [name for item in wanted for index, uuid, name in rows if item and (item == index or uuid.startswith(item))]
