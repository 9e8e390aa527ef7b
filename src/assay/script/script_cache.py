"""Replicates of a script that need not run again: their number, their log, and the files that `task.keep` names.

An entry of the cache of replicates (`replicates.replicate_cache`), under the same kind of name and the same locks. Kept
files are copied and never opened: what lies in a pickle runs when it is read.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec

from assay.core.schemas import DAMAGE, Replicate
from assay.replicates import cache_entries
from assay.replicates.replicate_cache import ReplicateCache

_HEAD, _KEPT = "script", "kept"


class _Finished(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a replicate."""

    name: str
    replicate: Replicate
    log: str
    notes: list[str]
    kept: dict[str, str]  # file → hash


class ScriptReplicate(msgspec.Struct, frozen=True):
    """A replicate of a script: its record, what it printed, what was noted, and a folder with its kept files."""

    record: Replicate
    log: bytes
    notes: list[str]
    kept: Path
    names: list[str]


class ScriptCache(ReplicateCache):
    """Replicates of one script's arm. Trouble with the disk costs the re-use and nothing else."""

    def find(self, number: int) -> ScriptReplicate | None:
        """The replicate `number`, whole; None where it has to run."""
        if self.folder is None:
            return None
        folder, name = self._entry(number)
        raw = cache_entries.unseal(folder / _HEAD)
        try:
            found = None if raw is None else msgspec.json.decode(raw, type=_Finished)
        except DAMAGE:
            found = None
        if found is None or found.name != name or found.replicate.number != number:
            return None
        if any(digest(folder / _KEPT / file) != known for file, known in found.kept.items()):
            cache_entries.discard(folder / _HEAD)
            return None
        cache_entries.used(folder / _HEAD)
        record = msgspec.structs.replace(found.replicate, reused=True)
        log = found.log.encode("utf-8", "surrogateescape")
        return ScriptReplicate(record, log, found.notes, folder / _KEPT, list(found.kept))

    def keep(self, done: ScriptReplicate) -> None:
        """Keep a replicate that ran."""
        if self.folder is None:
            return
        folder, name = self._entry(done.record.number)
        try:
            for file in done.names:
                (folder / _KEPT / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(done.kept / file, folder / _KEPT / file)
            kept = {file: digest(folder / _KEPT / file) for file in done.names}
            log = done.log.decode("utf-8", "replace")
            record = _Finished(name, done.record, log, done.notes, kept)
            cache_entries.seal(folder / _HEAD, msgspec.json.encode(record))
        except OSError as error:
            self._trouble(error)


def digest(path: Path) -> str:
    """Hash of a file's content, "" where it cannot be read."""
    total = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                total.update(block)
    except OSError:
        return ""
    return total.hexdigest()
