"""A file of a teacher's probabilities, by example: safetensors, which nothing runs when it is read.

Covers: its form, and that it holds probabilities. Not covered: whose examples these are (`training.soft_targets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from assay.core.errors import UsageError

#: names in the file: (N, K) probabilities, and the ids of their examples as text, one a line
PROBABILITIES, IDS = "probabilities", "ids"
_HINT = "make it again for this training part: assay export strategy/NAME --soft-targets FILE"


def content(ids: Sequence[str], probabilities: NDArray[np.float32]) -> bytes:
    """The bytes of such a file. `probabilities` is (N, K)."""
    text = np.frombuffer("\n".join(ids).encode(), dtype=np.uint8)
    return safetensors.numpy.save({PROBABILITIES: np.ascontiguousarray(probabilities, dtype=np.float32), IDS: text})


def read(path: Path, said: str) -> tuple[list[str], NDArray[np.float32]]:
    """Ids and (N, K) probabilities. `said`: the file's name in params.yaml. Raises UsageError for what is none."""
    try:
        found = safetensors.numpy.load_file(path)
        ids, probabilities = found[IDS].tobytes().decode().split("\n"), found[PROBABILITIES]
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise refuse(said, f"holds no soft targets ({error!s:.100})") from error
    if probabilities.ndim != 2 or len(ids) != len(probabilities):
        raise refuse(said, f"has {len(ids)} ids for {probabilities.shape} probabilities")
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise refuse(said, "has probabilities below 0, or that are not finite")
    if not np.allclose(probabilities.sum(1, dtype=np.float64), 1.0, atol=1e-3):
        raise refuse(said, "has probabilities whose sum over the classes is not 1")
    return ids, probabilities


def refuse(said: str, problem: str, allowed: str = "") -> UsageError:
    return UsageError(f"{said} in train.soft_targets {problem}", allowed=allowed, hint=_HINT)
