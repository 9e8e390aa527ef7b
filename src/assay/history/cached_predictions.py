"""Predictions that DVC's cache still holds, of any commit: read without a checkout and without starting DVC.

Covers: the hash in a commit's dvc.lock, files and folders in the cache, each checked against its hash: opening a
revision through DVC takes 0.3 s. Not covered: fetching what is not available (`dvc fetch`), and what the
predictions are worth.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import IN_PROJECT
from assay.core.schemas import Arm
from assay.runtime import example_ids, npy_files
from assay.runtime.dvc_lock import output_hash

_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class CachedArm:
    """One arm as a commit left it."""

    arm: Arm
    digest: str  # DVC's hash of the predictions
    ids: NDArray[np.str_]
    predictions: NDArray[np.float32]  # (R, N, …)


class NotAtHandError(UsageError):
    """Nothing is wrong with it, it only is not in DVC's cache here."""


def read(cache: Path, lock: bytes, arm: str) -> CachedArm | None:
    """The arm that `lock` records, None when it records none that was measured.

    Raises NotAtHandError, and UsageError for what is damaged or of another schema.
    """
    known = record(cache, lock, arm)
    if known is None or known.measurement is None:
        return None
    listed = output_hash(lock, IN_PROJECT.predictions(arm).as_posix())
    ids, rows = _arrays(cache, listed, "ids", "predictions")
    if rows.shape[:2] != (len(known.measurement.replicates), len(ids)):
        raise UsageError(
            f"the stored predictions {listed[:12]} have shape {rows.shape}",
            allowed=f"{len(known.measurement.replicates)} replicates of {len(ids)} examples",
        )
    return CachedArm(known, listed, example_ids.unpacked(ids), rows)


def floor(cache: Path, lock: bytes, name: str) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Ids (N,) and predictions (N, …) of a floor that `lock` records. Raises as `read` does."""
    ids, rows = _arrays(cache, output_hash(lock, IN_PROJECT.floors.as_posix()), "ids", name)
    return example_ids.unpacked(ids), rows


def _arrays(cache: Path, listed: str, *names: str) -> tuple[NDArray[Any], ...]:
    """The arrays called so in the folder that DVC keeps under the hash `listed`, "" where it keeps none."""
    if not listed:
        raise NotAtHandError("its dvc.lock records no such predictions")
    try:
        known = {entry["relpath"]: entry["md5"] for entry in json.loads(file(cache, listed))}
        return tuple(npy_files.parse(file(cache, known[f"{name}.npy"])) for name in names)
    except (KeyError, *npy_files.BROKEN) as error:
        raise UsageError(
            f"the stored predictions {listed[:12]} cannot be read ({error})", hint="dvc exp run"
        ) from error


def record(cache: Path, lock: bytes, arm: str) -> Arm | None:
    """Who was measured, None where `lock` records no such arm. Raises as `read` does."""
    digest = output_hash(lock, IN_PROJECT.record(arm).as_posix())
    return (
        schemas.decode(file(cache, digest), Arm, f"{IN_PROJECT.record(arm).as_posix()} in DVC's cache")
        if digest
        else None
    )


def text(cache: Path, lock: bytes, path: str) -> str:
    """The output `path` that `lock` records, as text. Raises as `read` does."""
    return file(cache, output_hash(lock, path)).decode("utf-8", "replace")


def file(cache: Path, digest: str) -> bytes:
    """What DVC keeps under `digest`: a file, or the listing of a folder. Raises as `read` does."""
    if not _DIGEST.fullmatch(digest):  # else a listing could name any file of this machine
        raise UsageError(f"{digest!r} is no hash of DVC's", hint="dvc exp run")
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotAtHandError(f"{digest[:12]} is not in DVC's cache here") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest.removesuffix(".dir"):
        raise UsageError(f"{path} is not what its hash says", hint=f"rm -f '{path}', then dvc fetch")
    return content
