"""Weights in safetensors format that may be damaged: the header is held against the content.

Covers: cut or edited files, also under a hash that fits. Not covered: whether a model has these tensors.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from assay.core.schemas import DAMAGE

_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16}
_BITS |= {"U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64}


class _Tensor(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def count(content: bytes) -> int | None:
    """How many numbers its tensors hold; None where it is not whole, as an empty one."""
    if trouble(content):
        return None
    header = msgspec.json.decode(content[8 : 8 + int.from_bytes(content[:8], "little")], type=dict[str, Any])
    return sum(int(math.prod(one["shape"])) for name, one in header.items() if name != "__metadata__")


def trouble(content: bytes) -> str:
    """What is wrong with `content`; "" where it is whole."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        return f"it ends after {len(content)} bytes"
    try:
        header: dict[str, Any] = msgspec.json.decode(content[8 : 8 + size], type=dict[str, Any])
        header.pop("__metadata__", None)
        found = [msgspec.convert(one, _Tensor) for one in header.values()]
    except DAMAGE as error:
        return f"its header is no header ({error})"
    end = 0
    for one in sorted(found, key=lambda tensor: tensor.data_offsets):
        first, last = one.data_offsets
        bits = math.prod(one.shape) * _BITS[one.dtype] if one.dtype in _BITS else 8 * (last - first)
        if first != end or (last - first) * 8 != bits or any(length < 0 for length in (*one.shape, bits)):
            return f"its header says {one.dtype} {one.shape} in bytes {first} to {last}"
        end = last
    there = len(content) - 8 - size
    return "" if end == there else f"its header says {end} bytes, the file has {there}"
