"""The environment as far as numbers care, found without importing torch.

Covers: device and hardware, architecture, versions of the packages that training imports, variables that change how
products are computed. Not covered: what merely makes it slower or faster (clock rates, how memory is handed out), which
no comparison needs.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

import msgspec
from msgspec import UNSET

from assay.core.errors import UsageError
from assay.core.machine_section import MachineClass
from assay.core.params_yaml import Params
from assay.core.schemas import ClassOfMachine, Environment, Hardware
from assay.runtime import accelerators, device_places, hardware
from assay.runtime.accelerators import Accelerator
from assay.runtime.device_places import DevicePlace, Devices

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

#: fields of a class of machine that say how its GPU, or (True) its CPU, computes
_FIELDS = {False: ("mig", "cudnn", "torch_build"), True: ("instructions", "threads")}
#: what training sets where nothing else is set (assay/training/device.py): naming it changes nothing
OURS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "MKL_CBWR": "AUTO,STRICT"}


def find(device: str, packages: Iterable[str], library: str = "", devices: Devices | None = None) -> Environment:
    """Today's environment. `device` and `devices` as in params.yaml; `packages` are top-level import names; `library`
    is the fingerprint of Assay's sources that train. Raises UsageError for devices that are not there or not alike."""
    found = versions({*ALWAYS, *packages})
    if "torch" not in found:
        raise UsageError("torch is not installed", hint="pip install torch")
    gpus = [] if device == "cpu" or found["torch"].endswith("+cpu") else accelerators.visible()
    gpu = _chosen(device, gpus, devices)
    return _environment(gpu, devices, found, library)


def asked(here: Environment, params: Params) -> Environment:
    """What both arms are trained under: as on this machine, or all classes where these are blocks.

    Raises UsageError for two names of one class.
    """
    if params.judge.blocks is None:
        return here
    classes = {name: class_of_machine(here, one) for name, one in params.machine.classes.items()}
    seen: dict[str, str] = {}
    for name, one in classes.items():
        if (other := seen.setdefault(str(one), name)) != name:
            raise UsageError(
                f"machine.classes {other} and {name} are both {one}",
                allowed="classes that differ in device or hardware",
                hint="write out how they differ under machine.classes in params.yaml",
            )
    devices = ", ".join(sorted({one.device for one in classes.values()}))
    architectures = ", ".join(sorted({one.machine for one in classes.values()}))
    return msgspec.structs.replace(here, device=devices, machine=architectures, hardware=UNSET, classes=classes)


def class_of_machine(here: Environment, one: MachineClass) -> ClassOfMachine:
    """A class of params.yaml; what it leaves out is as on this machine."""
    if one.device == here.device and isinstance(here.hardware, Hardware):
        known = here.hardware
    else:
        known = hardware.of_cpu(pinned=False) if one.device == "cpu" else hardware.of_gpu("")
    told = {name: value for name in _FIELDS[one.device == "cpu"] if (value := getattr(one, name)) is not UNSET}
    return ClassOfMachine(
        device=one.device,
        machine=here.machine if one.machine is UNSET else one.machine,
        hardware=msgspec.structs.replace(known, **told),
    )


def of_script(device: str, python: str, packages: Mapping[str, str], devices: Devices | None = None) -> Environment:
    """The environment of a script's own interpreter, which has these packages; `python` is "" where it starts none."""
    found = {**({"python": python} if python else {}), **packages}
    gpus = [] if device == "cpu" or _on_cpu(packages) else accelerators.visible()
    number = device if device.startswith("cuda:") and int(device.partition(":")[2]) < len(gpus) else "auto"
    return _environment(_chosen(number, gpus, devices), devices, found, "")


def _environment(
    gpu: Accelerator | None, devices: Devices | None, packages: dict[str, str], library: str
) -> Environment:
    return Environment(
        device=gpu.name if gpu else "cpu",
        machine=platform.machine(),
        system=platform.system(),
        packages=packages,
        library=library,
        variables=variables(os.environ) or UNSET,
        hardware=hardware.of_gpu(gpu.mig) if gpu else hardware.of_cpu(pinned=devices is not None),
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


def _chosen(asked: str, gpus: Sequence[Accelerator], devices: Devices | None) -> Accelerator | None:
    """The GPU, or the first of several that are alike; None for the CPU."""
    number = int(asked.partition(":")[2] or 0)
    if asked != "auto" and asked != "cpu" and number >= len(gpus):
        found = f"{len(gpus)} CUDA devices" if gpus else "no CUDA device"
        raise UsageError(f"machine.device is {asked!r}, but there is {found} here", allowed="auto, cpu")
    if devices is not None:
        device_places.refuse_one(asked)
        chosen = device_places.find(devices, [one.uuid for one in gpus])
        gpus = [gpus[place.number] for place in chosen] if gpus else []
        _refuse_unlike(chosen, gpus)
    return gpus[number] if gpus else None


def _refuse_unlike(places: Sequence[DevicePlace], gpus: Sequence[Accelerator]) -> None:
    kinds: dict[str, list[int]] = {}
    for place, gpu in zip(places, gpus, strict=False):  # none where places are cores
        kinds.setdefault(gpu.hardware, []).append(place.number)
    if len(kinds) > 1:
        told = "; ".join(f"{numbers} {name}" for name, numbers in kinds.items())
        raise UsageError(
            f"machine.devices are of {len(kinds)} kinds: {told}",
            allowed="devices of one kind, as a difference between machines would look like one between strategies",
            hint=f"set machine.devices: {max(kinds.values(), key=len)} in params.yaml",
        )
