"""Which variables of the environment reach a worker: those of a list, so that no secret travels.

Covers: what programs need to start, what chooses kernels and precision, what a scheduler tells its jobs. Not covered:
variables that the user names (`--env`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from assay.runtime import environment

#: what programs and libraries need to start
ALLOWED = frozenset(
    (
        *("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"),
        *("CONDA_PREFIX", "VIRTUAL_ENV", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "DVC_SITE_CACHE_DIR"),
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "DVC_NO_ANALYTICS"),
        *environment.VARIABLES,
    )
)
#: the same, by how their names begin
FAMILIES = ("LC_", "SLURM_", "SLURMD_", "SUBMITIT_", *environment.FAMILIES)
#: parts of names that are never passed on unless the user names them
SECRET = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "PRIVATE")


def names(also: Iterable[str] = ()) -> list[str]:
    """Variables of this process that a worker gets."""
    named = set(also)
    return sorted(name for name in os.environ if name in named or _is_allowed(name))


def allowed(also: Iterable[str] = ()) -> dict[str, str]:
    """The same with their values."""
    return {name: os.environ[name] for name in names(also)}


def _is_allowed(name: str) -> bool:
    return (name in ALLOWED or name.startswith(FAMILIES)) and not any(part in name.upper() for part in SECRET)
