"""Hashes of examples by content, computed piece by piece: memory stays small however large the array.

Covers: a hash of a whole array, and one of each row. Not covered: ids (`runtime.example_ids`), parts (`data.storage`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.runtime.example_ids import KEY, Keys, hex_names

#: bytes of an array that are looked at together
PIECE = 8 * 2**20


def pieces(count: int, row_bytes: int) -> Iterator[slice]:
    """Slices over `count` rows of `row_bytes` each, about PIECE bytes a slice."""
    step = max(1, PIECE // max(1, row_bytes))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def row_bytes(array: NDArray[Any]) -> int:
    """Bytes of one row of an array (N, …)."""
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize


def array_digest(array: NDArray[Any]) -> str:
    """Hash of dtype, shape and values; byte order does not matter."""
    hasher = hashlib.blake2b(f"{_little(array.dtype).str}{array.shape}".encode(), digest_size=KEY)
    if array.ndim == 0:
        hasher.update(_plain(array).tobytes())
        return hasher.hexdigest()
    for piece in pieces(len(array), row_bytes(array)):
        hasher.update(_bytes(array[piece]))
    return hasher.hexdigest()


def row_keys(array: NDArray[Any]) -> Keys:
    """(N,) a hash of each row of an array (N, …), from its dtype, shape and values alone."""
    start = hashlib.blake2b(f"{_little(array.dtype).str}{array.shape[1:]}".encode(), digest_size=KEY)
    width, found = row_bytes(array), bytearray()
    for piece in pieces(len(array), width):
        content = _bytes(array[piece])
        for begin in range(0, (piece.stop - piece.start) * width, width) if width else [0] * (piece.stop - piece.start):
            hasher = start.copy()
            hasher.update(content[begin : begin + width])
            found += hasher.digest()
    return np.frombuffer(bytes(found), dtype=f"S{KEY}")


def combined_keys(first: Keys, second: Keys) -> Keys:
    """(N,) a hash of each pair of keys."""
    found = bytearray()
    for piece in pieces(len(first), 2 * KEY):
        for one, other in zip(hex_names(first[piece]).tolist(), hex_names(second[piece]).tolist(), strict=True):
            found += hashlib.blake2b(f"{one}{other}".encode(), digest_size=KEY).digest()
    return np.frombuffer(bytes(found), dtype=f"S{KEY}")


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array).astype(_little(array.dtype), copy=False)


def _bytes(array: NDArray[Any]) -> memoryview:
    """The values of an array, row after row. A view where they lie so already."""
    return _plain(array).reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
