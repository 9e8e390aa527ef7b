"""Hashes of Arrow columns and of rows of a table, by value: the same for numbers of 4 and of 8 bytes, for text whole or
as categories, and wherever a batch of the file begins.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.pyarrow_package import compute, pyarrow
from assay.runtime.example_ids import KEY, Keys


def is_number(kind: Any) -> bool:
    """Whether an Arrow type holds numbers."""
    return bool(pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind))


def is_text(kind: Any) -> bool:
    """Whether an Arrow type holds text or bytes."""
    types = pyarrow.types
    return bool(types.is_large_string(kind) or types.is_large_binary(kind))


class ColumnHash:
    """A hash of a column that comes in batches, wherever these begin and end."""

    def __init__(self) -> None:
        self._valid, self._sizes, self._content = (hashlib.blake2b(digest_size=KEY) for _ in range(3))

    def update(self, column: Any) -> None:
        """Add the values of an Arrow array."""
        self._valid.update(_valid(column).data)
        if not is_text(column.type):
            self._content.update(np.ascontiguousarray(_words(column)).data)
            return
        filled = column.fill_null("" if pyarrow.types.is_large_string(column.type) else b"")
        self._sizes.update(compute.binary_length(filled).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        _, offsets, content = filled.buffers()
        if len(filled) and content is not None:
            ends = np.frombuffer(offsets, dtype="<i8")[filled.offset : filled.offset + len(filled) + 1]
            self._content.update(content.slice(int(ends[0]), int(ends[-1] - ends[0])))

    def hexdigest(self) -> str:
        return "".join(hasher.hexdigest() for hasher in (self._valid, self._sizes, self._content))


def table_keys(batch: Any) -> Keys:
    """(N,) a hash of each row, over its columns in the order of their names."""
    names = sorted(batch.schema.names)
    kinds = ["text" if is_text(batch.column(name).type) else "number" for name in names]
    start = hashlib.blake2b(repr([*zip(names, kinds, strict=True)]).encode(), digest_size=KEY)
    parts = [part for name in names for part in _fixed(batch.column(name))]
    rows = np.ascontiguousarray(np.concatenate(parts, axis=1))
    content, width = rows.reshape(-1).data, rows.shape[1]
    found = bytearray()
    for begin in range(0, len(rows) * width, width):
        hasher = start.copy()
        hasher.update(content[begin : begin + width])
        found += hasher.digest()
    return np.frombuffer(bytes(found), dtype=f"S{KEY}")


def _fixed(column: Any) -> list[NDArray[np.uint8]]:
    """Whether each value is there (N, 1), and eight bytes of a number or the hash of a text."""
    valid = _valid(column)
    if not is_text(column.type):
        return [valid[:, None], np.ascontiguousarray(_words(column)).view(np.uint8).reshape(len(column), -1)]
    coded = column.dictionary_encode()
    texts = [value.as_buffer() for value in coded.dictionary]
    hashes = b"".join(hashlib.blake2b(text, digest_size=KEY).digest() for text in texts)
    known = np.frombuffer(hashes + bytes(KEY), dtype=np.uint8).reshape(-1, KEY)  # the last is of what is missing
    codes = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return [valid[:, None], known[codes]]


def _valid(column: Any) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = column.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8)
    return found


def _words(column: Any) -> NDArray[Any]:
    """(N,) eight bytes a value: whole numbers, or double precision where it is no whole number; 0 where missing."""
    kind = column.type
    if pyarrow.types.is_floating(kind):
        values = column.cast(pyarrow.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        whole: NDArray[Any] = (values + 0.0).astype("<f8")  # -0 is 0
        return whole
    if pyarrow.types.is_boolean(kind):
        column = column.cast(pyarrow.int64())
    if pyarrow.types.is_timestamp(kind):
        column = column.cast(pyarrow.timestamp("us"), safe=False).cast(pyarrow.int64())
    unsigned = pyarrow.types.is_uint64(kind)
    values = column.cast(pyarrow.uint64() if unsigned else pyarrow.int64()).fill_null(0)
    found: NDArray[Any] = values.to_numpy(zero_copy_only=False).astype("<u8" if unsigned else "<i8")
    return found
