"""Lines of a text file that another process appends to, read as they come.

Covers: a last line that is not whole yet, a file that is not there, is written anew, or holds bytes that are no text.
Opens for reading and holds nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

#: bytes that one look reads at most; the rest comes with the next ones
MOST = 8 * 2**20
#: bytes before the place of the last look that must still be there: another file may have the same inode number
KNOWN = 256


class AppendedLines:
    """A file at `path`; `read` gives the whole lines that are new since it was called last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._tail = b""  # last bytes before the offset
        self.modified = 0.0  # seconds of the epoch, 0 where there is no file

    def read(self) -> tuple[bool, list[str]]:
        """Whether the file began anew, so that what was read before is void; and its new lines."""
        try:
            with self.path.open("rb") as stream:
                state = os.fstat(stream.fileno())
                identity = state.st_dev, state.st_ino
                stream.seek(max(0, self._offset - len(self._tail)))
                anew = identity != self._identity or stream.read(len(self._tail)) != self._tail
                self._offset, self._tail = (0, b"") if anew else (self._offset, self._tail)
                stream.seek(self._offset)
                content = stream.read(MOST)
        except OSError:  # not there, or a folder: perhaps for a moment, and what was read holds until another is there
            self._identity, self._offset, self._tail, self.modified = None, 0, b"", 0.0
            return False, []
        self._identity, self.modified = identity, state.st_mtime
        whole = content.rpartition(b"\n")[0]
        if not whole:  # not even one; a line longer than all that is read is none
            self._pass(content if len(content) == MOST else b"")
            return anew, []
        self._pass(whole + b"\n")
        return anew, whole.decode("utf-8", "replace").split("\n")

    def _pass(self, content: bytes) -> None:
        self._offset += len(content)
        self._tail = (self._tail + content)[-KNOWN:]
