"""Engines by name. One whose package may be missing is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from assay.core.errors import UsageError
from assay.work import local_engine
from assay.work.engine_protocol import WorkEngine
from assay.work.local_engine import LocalEngine

LOCAL, SLURM, RAY = "local", "slurm", "ray"
ENGINES = (LOCAL, SLURM, RAY)
#: module and class of those whose package may be missing
_ELSEWHERE = {SLURM: ("assay.work.slurm_engine", "SlurmEngine"), RAY: ("assay.work.ray_engine", "RayEngine")}
_RAY_SERVER = "assay.work.ray_server"


def engine(name: str, device: str = "cpu") -> WorkEngine:
    """The engine called `name`, for requests that train on `device`.

    Raises UsageError for another name, and where the engine's package is missing.
    """
    if name == LOCAL:
        return LocalEngine()
    if name in _ELSEWHERE:
        module, engine_class = _ELSEWHERE[name]
        made: WorkEngine = getattr(importlib.import_module(module), engine_class)(device)
        return made
    raise UsageError(f"--on is {name!r}", allowed=", ".join(ENGINES))


def server(name: str = LOCAL) -> Callable[[Path, Callable[[str], object]], None]:
    """What runs the workers of a launch, given its folder and where to say what happens; no engine's but these two."""
    if name == RAY:
        served: Callable[[Path, Callable[[str], object]], None] = importlib.import_module(_RAY_SERVER).serve
        return served
    return local_engine.serve
