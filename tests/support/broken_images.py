"""Files that look like images and are none that anybody can take."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path


def size_only_png(path: Path, width: int, height: int) -> None:
    """A file of a hundred bytes that says that it has so many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")))
