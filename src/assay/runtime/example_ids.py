"""Ids of examples and their file: 32 hex digits from an example's own content, "-k" added to the k-th exact repeat.

In a file an id takes 16 bytes. Repeats lie there in their order, so that counting them gives each its number back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.runtime import npy_files

#: bytes of a key
KEY = 16

Keys = NDArray[np.bytes_]  # (N,) of dtype S16; compare and sort them, but never take a single one: NumPy strips zeros

#: two hex digits of each byte, as NumPy stores them in text
_PAIRS = np.array([[ord(digit) for digit in f"{value:02x}"] for value in range(256)], dtype="<u4")
_DIGITS = np.full(128, 255, dtype=np.uint8)
for _value, _digit in enumerate("0123456789abcdef"):
    _DIGITS[ord(_digit)] = _value


def from_keys(keys: Keys) -> NDArray[np.str_]:
    """(N,) ids of examples with these content hashes (N,)."""
    names = hex_names(keys)
    numbers = _repeats(keys)
    repeated = np.flatnonzero(numbers)
    if not len(repeated):
        return names
    marked = [f"{names[row]}-{numbers[row]}" for row in repeated.tolist()]
    found = names.astype(f"U{max(map(len, marked))}")
    found[repeated] = marked
    return found


def packed(ids: NDArray[np.str_]) -> NDArray[Any]:
    """What a file keeps of `ids`: their keys where these give them back, else the ids themselves.

    `ids` are (N,), or (R, N) for replicates that have examples of their own, with "" behind a smaller split; its key is
    zero.
    """
    there = ids != ""
    found = _keys(ids[there]) if ids.ndim in (1, 2) else None
    if found is None:
        return ids
    keys = np.zeros(ids.shape, dtype=f"S{KEY}")
    keys[there] = found
    return keys if np.array_equal(unpacked(keys), ids) else ids


def unpacked(kept: NDArray[Any]) -> NDArray[np.str_]:
    """The inverse of `packed`. What is neither comes back as text that is nobody's id."""
    if kept.dtype == np.dtype(f"S{KEY}"):
        return from_keys(kept) if kept.ndim == 1 else _of_replicates(kept)
    return np.char.decode(kept, "latin-1") if kept.dtype.kind == "S" else kept.astype(np.str_, copy=False)


def _of_replicates(keys: Keys) -> NDArray[np.str_]:
    """Ids (R, N) of the keys (R, N) of each replicate; "" for a key of zero."""
    found = []
    for row in keys:
        there = key_bytes(row).any(axis=1)
        ids = from_keys(row[there])
        found.append(np.full(len(row), "", dtype=ids.dtype))
        found[-1][there] = ids
    return np.stack(found) if found else np.full(keys.shape, "", dtype=f"U{2 * KEY}")


def read(path: Path, hint: str = "") -> NDArray[np.str_]:
    """Ids (N,) or (R, N) in the file at `path`, kept in 16 bytes each or as text.

    Raises UsageError naming the file where there are none.
    """
    return unpacked(npy_files.read(path, hint))


def bases(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    """(N,) ids without the numbers of repeats: exact repeats have the same."""
    return ids.astype(f"U{2 * KEY}")


def hex_names(keys: Keys) -> NDArray[np.str_]:
    """(N,) each key as 32 hex digits."""
    found: NDArray[np.str_] = _PAIRS[key_bytes(keys)].reshape(len(keys), -1).view(f"<U{2 * KEY}").reshape(len(keys))
    return found


def key_bytes(keys: Keys) -> NDArray[np.uint8]:
    """(N, 16) the bytes of each key."""
    return np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), KEY)


def _keys(ids: NDArray[np.str_]) -> Keys | None:
    """The 32 hex digits that each id begins with, as keys; None where one begins otherwise."""
    width = 2 * KEY
    if ids.ndim != 1 or ids.dtype.kind != "U" or ids.dtype.itemsize < 4 * width or not len(ids):
        return None
    points = np.ascontiguousarray(ids.astype(ids.dtype.newbyteorder("<"), copy=False)).view("<u4")
    digits = points.reshape(len(ids), -1)[:, :width]
    if int(digits.max()) > 127:
        return None
    values = _DIGITS[digits]
    if int(values.max()) > 15:
        return None
    joined = np.ascontiguousarray((values[:, ::2] << 4) | values[:, 1::2])
    found: Keys = joined.view(f"S{KEY}").reshape(len(ids))
    return found


def _repeats(keys: Keys) -> NDArray[np.int64]:
    """(N,) how many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)]
    begins = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = np.arange(len(keys)) - begins
    return found
