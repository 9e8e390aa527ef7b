"""Predictions that DVC's cache still holds, of any commit: read without a checkout and without starting DVC.

Covers: the hash in a commit's dvc.lock, files and folders in the cache. Not covered: fetching what is not
at hand (`dvc pull`), and what the predictions are worth.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.words import records
from assay.words.errors import AssayError
from assay.words.records import Arm


@dataclass(frozen=True)
class Kept:
    """One arm as a commit left it."""

    arm: Arm
    digest: str  # DVC's hash of the predictions
    ids: NDArray[np.str_]
    predictions: NDArray[np.float32]  # (R, N, …)


def locked(lock: bytes, path: str) -> str:
    """DVC's hash of the output `path` in a dvc.lock, "" where it is none. Not parsed: there are thousands."""
    match = re.search(
        rb"- path: %b\n(?:\s+hash: md5\n)?\s+md5: ([0-9a-f]{32}(?:\.dir)?)\n" % re.escape(path.encode()), lock
    )
    return match[1].decode() if match else ""


def read(cache: Path, lock: bytes, arm: str) -> Kept | None:
    """The arm that `lock` records, None when record or predictions are not at hand, or no arm was measured."""
    folder, record = locked(lock, f"predictions/{arm}"), _file(cache, locked(lock, f"arms/{arm}.json"))
    listing = _file(cache, folder)
    if record is None or listing is None:
        return None
    named = {entry["relpath"]: _file(cache, entry["md5"]) for entry in json.loads(listing)}
    ids, predictions = named.get("ids.npy"), named.get("predictions.npy")
    if ids is None or predictions is None:
        return None
    try:
        known = records.decode(record, Arm, f"arms/{arm}.json")
        arrays = [np.load(io.BytesIO(content), allow_pickle=False) for content in (ids, predictions)]
    except (AssayError, ValueError, EOFError):
        return None  # of another schema, or damaged: not at hand in a form that counts
    return Kept(known, folder, *arrays) if known.measurement else None


def _file(cache: Path, digest: str) -> bytes | None:
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    return path.read_bytes() if digest and path.is_file() else None
