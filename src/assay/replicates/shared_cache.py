"""The cache of a shared folder behind the cache of this machine, for one group of replicates.

Covers: taking from there what this machine lacks, putting there what it trained, refusing what another machine is
training now. Not covered: files (`replicates.shared_entries`).
"""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.core.schemas import Note
from assay.core.work_records import SharedPaths
from assay.replicates import cache_entries, shared_entries
from assay.runtime import leases


class SharedCache:
    """What several machines see, at `root`. `notes` gets one where it cannot be written."""

    def __init__(self, root: Path, notes: list[Note]) -> None:
        self.root = root
        self.notes = notes

    def bring(self, folder: Path) -> None:
        """Copy the entry called as `folder` is into it, where it is there. Raises OSError where that is not taken."""
        shared_entries.fetch(self.root, folder.name, folder)

    def publish(self, folder: Path, seconds: float) -> None:
        """Put the entry in `folder` there. Raises IncomparableError where another machine made other bytes."""
        try:
            finding = shared_entries.publish(folder, self.root, shared_entries.made_here(seconds))
        except OSError as error:
            note = Note(f"nothing is shared: {self.root} cannot be written ({error.strerror})")
            self.notes += [note] if note not in self.notes else []
            return
        if finding is not None:
            for name in (path.name for path in cache_entries.children(folder)):
                cache_entries.discard(folder / name)
            raise shared_entries.refused(finding, self.root)

    def refuse_leased(self, number: int, name: str) -> None:
        """No stage waits for a queue. Raises UsageError where another machine is training this replicate."""
        held = leases.holder(SharedPaths(self.root).leases(name))
        if held is not None:
            raise UsageError(
                f"replicate {number} is being trained by {held.host}, which gave a sign of life {held.age:.0f} s ago",
                allowed="to wait until it is sealed, or to end that work",
                hint="assay work status, or assay work cancel",
            )
