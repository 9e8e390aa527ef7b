"""One example in a file as it lies: an image, a sound, whatever the task's `decode()` reads."""

from __future__ import annotations

import io
from dataclasses import dataclass


@dataclass(frozen=True)
class EncodedFile:
    """What `decode()` gets of a file that `prepare()` referred to."""

    path: str  # as prepare() gave it, for messages; the file itself may be gone by now
    content: bytes

    def open(self) -> io.BytesIO:
        """The content as a file that can be read."""
        return io.BytesIO(self.content)
