"""The environment as far as numbers care, found without importing torch.

Covers: device, architecture, versions of the packages that training imports. Not covered: what merely
makes it slower or faster (threads, processor model), which no comparison needs.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata

from assay.words.errors import UsageError
from assay.words.records import Environment

#: they make the numbers of every task
ALWAYS = ("numpy", "torch")


def find(device: str, packages: Iterable[str], library: str = "") -> Environment:
    """Today's environment. `device` as in params.yaml; `packages` are top-level import names; `library` is the
    fingerprint of Assay's sources that train."""
    versions = {name: version for name in sorted({*ALWAYS, *packages}) if (version := _version(name))}
    if "torch" not in versions:
        raise UsageError("torch is not installed", mend="pip install torch")
    return Environment(
        device=_device(device, versions["torch"]),
        machine=platform.machine(),
        system=platform.system(),
        packages=versions,
        library=library,
    )


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
