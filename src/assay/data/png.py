"""PNG pictures: written from arrays, checked as bytes. No image library is needed for either.

Covers: 8-bit grey, colours, colours with transparency; chunks and their checksums. Not covered: decoding.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: channels → colour type
_COLOURS = {1: 0, 3: 2, 4: 6}
#: the same bytes from the same pixels: zlib's default may change with its build, what it can do at level 9 hardly
_LEVEL = 9


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG of (H, W, C) bytes; C is 1 (grey), 3 (colours) or 4 (colours, transparency)."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), _LEVEL)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG; None where `content` is none, or is cut off or damaged."""
    if not content.startswith(SIGNATURE):
        return None
    kinds = list(_kinds(content))
    if kinds[:1] != [b"IHDR"] or b"IDAT" not in kinds or kinds[-1] != b"IEND":
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _kinds(content: bytes) -> Iterator[bytes]:
    """Kinds of the chunks, as far as they are whole and their checksums right."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 8 + length]
        checksum = content[at + 8 + length : at + 12 + length]
        if len(body) != 4 + length or checksum != struct.pack(">I", zlib.crc32(body)):
            return
        yield body[:4]
        at += 12 + length
