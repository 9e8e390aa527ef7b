"""Two files of weights in safetensors format, tensor by tensor: which is the first whose bits differ."""

from __future__ import annotations

from typing import Any

import msgspec

from assay.core.errors import UsageError
from assay.replicates import safetensors_check


def first_difference(one: bytes, other: bytes, where: str) -> str:
    """Name of the first tensor, as `one` lists them, of another type, shape or bits; one that only one file has counts.

    "" where all are equal. Raises UsageError, naming `where`, for a file that is damaged.
    """
    left, right = _tensors(one, where), _tensors(other, where)
    names = [*left, *(name for name in right if name not in left)]
    return next((name for name in names if left.get(name) != right.get(name)), "")


def _tensors(content: bytes, where: str) -> dict[str, tuple[Any, ...]]:
    """Name → type, shape and bytes."""
    if trouble := safetensors_check.trouble(content):
        raise UsageError(f"{where}: {trouble}", hint="dvc fetch, or run the experiment again")
    begin = 8 + int.from_bytes(content[:8], "little")
    header = msgspec.json.decode(content[8:begin], type=dict[str, Any])
    found = {}
    for name, one in header.items():
        if name != "__metadata__":
            first, last = one["data_offsets"]
            found[name] = (one["dtype"], tuple(one["shape"]), content[begin + first : begin + last])
    return dict(sorted(found.items(), key=lambda entry: header[entry[0]]["data_offsets"]))
