"""The GPUs that this process may use, as nvidia-smi tells them, without importing torch.

Covers: names, MIG profiles, what CUDA_VISIBLE_DEVICES leaves. Not covered: GPUs of other makers, which torch alone
tells of (`training.device`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from typing import NamedTuple

#: the variable that says which GPUs a process sees
VISIBLE = "CUDA_VISIBLE_DEVICES"

_GPU = re.compile(r"^GPU (\d+): (.*) \(UUID: (\S+)\)\s*$")
_MIG = re.compile(r"^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)\s*$")


class Accelerator(NamedTuple):
    """A GPU, or a MIG instance of one."""

    name: str
    mig: str  # profile of the instance, as 1g.10gb; "" for a whole GPU
    number: str  # as nvidia-smi counts whole GPUs; "" for an instance
    uuid: str

    @property
    def hardware(self) -> str:
        """Name and profile in one line."""
        return f"{self.name} MIG {self.mig}" if self.mig else self.name


def visible() -> list[Accelerator]:
    """Those that this process may use, in CUDA's order; none where there is no nvidia-smi."""
    wanted = os.environ.get(VISIBLE)
    if wanted in ("", "-1"):
        return []
    found = _present()
    if wanted is None:
        return found
    chosen = []
    for word in (item.strip() for item in wanted.split(",")):
        named = next((one for one in found if word and (one.number == word or one.uuid.startswith(word))), None)
        if named is None:  # CUDA stops at the first that it does not know
            break
        chosen.append(named)
    return chosen


def _present() -> list[Accelerator]:
    tool = shutil.which("nvidia-smi")
    return [] if tool is None else [*_listed(tool)]


@cache
def _listed(tool: str) -> tuple[Accelerator, ...]:
    """All of the machine. Of a GPU that is cut into MIG instances, these: the whole one cannot be used."""
    done = subprocess.run([tool, "-L"], capture_output=True, encoding="utf-8", errors="replace")
    found: list[Accelerator] = []
    name = ""
    for line in [] if done.returncode else done.stdout.splitlines():
        if gpu := _GPU.match(line):
            name = gpu[2]
            found.append(Accelerator(name, "", gpu[1], gpu[3]))
        elif mig := _MIG.match(line):
            if found and not found[-1].mig:
                found.pop()
            found.append(Accelerator(name, mig[1], "", mig[2]))
    return tuple(found)
