"""Checkpoints: a long training goes on where it was interrupted, bit for bit on a CPU.

A checkpoint lies in a folder named after what is trained, in a file named after the code that trains it:
another code version never goes on from it, and says so. Like everything in the cache it may be deleted
at any moment, and is believed only when its seal is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from assay.replicates import cache_entries
from assay.replicates.replicate_cache import Names
from assay.runtime import cache_dirs, files
from assay.training import state_serialization

VERSION = 1
#: seconds between two checkpoints, and the largest share of time that writing them may take
SECONDS = 30.0
SHARE = 0.05


@dataclass(frozen=True)
class Checkpoints:
    """Where the checkpoints of a group lie."""

    folder: Path
    names: Names

    def path(self, numbers: Sequence[int], execution: str) -> Path:
        what = msgspec.to_builtins(msgspec.structs.replace(self.names, code=""))
        raw = msgspec.json.encode([VERSION, what, list(numbers), execution], order="deterministic")
        return self.folder / files.digest(raw) / files.digest(self.names.code.encode())


class Saver:
    """Reads and writes the checkpoint of one training; without a cache it does nothing."""

    def __init__(self, checkpoints: Checkpoints | None, numbers: Sequence[int], execution: str) -> None:
        self.path = None if checkpoints is None else checkpoints.path(numbers, execution)
        self._next = time.monotonic() + SECONDS

    def due(self) -> bool:
        return self.path is not None and time.monotonic() >= self._next

    def write(self, state: dict[str, Any], log: Callable[[str], None]) -> None:
        """Write a checkpoint; where that fails training goes on without."""
        assert self.path is not None
        started = time.monotonic()
        try:
            cache_entries.seal(self.path, state_serialization.pack(state))
            cache_dirs.hold(self.path.parent)
        except (OSError, TypeError) as error:
            log(f"no checkpoint: {self.path} cannot be written ({error})")
            self.path = None
        now = time.monotonic()
        self._next = now + max(SECONDS, (now - started) / SHARE)

    def read(self, log: Callable[[str], None]) -> Any:
        """The state to go on from, or None."""
        if self.path is None:
            return None
        raw = cache_entries.unseal(self.path)
        if raw is not None:
            try:
                return state_serialization.unpack(raw)
            except state_serialization.BROKEN:
                cache_entries.discard(self.path)
                return None
        if any(True for _ in cache_entries.children(self.path.parent)):
            log(f"a checkpoint in {self.path.parent} was made by other code and is not used: training starts afresh")
        return None

    def remove(self) -> None:
        if self.path is not None:
            cache_entries.discard(self.path)
            cache_entries.discard_folder(self.path.parent)
