"""Sealed files with a record at their head and a payload behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from assay.core.schemas import DAMAGE
from assay.replicates import cache_entries

S = TypeVar("S", bound=msgspec.Struct)


def seal(path: Path, head: msgspec.Struct, payload: bytes) -> None:
    """Write both as one sealed file; OSError when the disk does not take it."""
    encoded = msgspec.json.encode(head)
    cache_entries.seal(path, len(encoded).to_bytes(8, "little") + encoded + payload)


def recalled(path: Path, kind: type[S]) -> S | None:
    """Head of a sealed file, which was of use then."""
    found = opened(path, kind)
    if found is None:
        return None
    cache_entries.used(path)
    return found[0]


def opened(path: Path, kind: type[S]) -> tuple[S, bytes] | None:
    """Head and payload of a sealed file; what cannot be read as `kind` is discarded."""
    raw = cache_entries.unseal(path)
    if raw is None:
        return None
    size = int.from_bytes(raw[:8], "little")
    try:
        return msgspec.json.decode(raw[8 : 8 + size], type=kind), raw[8 + size :]
    except DAMAGE:
        cache_entries.discard(path)
        return None
