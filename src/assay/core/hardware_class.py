"""Classes of machine: what last bits follow from, beside packages and code."""

from __future__ import annotations

import msgspec


class Hardware(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The class of machine beside the device's name: what last bits follow from."""

    mig: str = ""  # profile of a MIG instance, as 1g.10gb
    cudnn: str = ""  # version; "" on a CPU
    torch_build: str = ""  # CUDA or ROCm, and the commit; "" on a CPU
    instructions: str = ""  # of a CPU: AVX512, AVX2, … that torch uses
    threads: int = 0  # of a CPU: the most that an operation may use

    def __str__(self) -> str:
        one = "thread" if self.threads == 1 else "threads"
        told = {
            "MIG ": self.mig,
            "cuDNN ": self.cudnn,
            "torch built for ": self.torch_build,
            "": self.instructions,
            f"{self.threads} {one}": self.threads,
        }
        return ", ".join(f"{name}{value if isinstance(value, str) else ''}" for name, value in told.items() if value)


class ClassOfMachine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class of machine, and the environment of what it trains but for all that classes share."""

    device: str
    machine: str
    hardware: Hardware

    def __str__(self) -> str:
        return f"{self.device} ({', '.join(filter(None, (self.machine, str(self.hardware))))})"
