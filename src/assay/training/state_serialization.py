"""A tree of lists, tuples, dicts, numbers, text, tensors and arrays as bytes, and back, without pickle.

Reading a pickle runs whatever it says; reading this makes values and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from assay.core.schemas import DAMAGE

_MARK = "="
#: what `unpack` raises for bytes that `pack` did not make
BROKEN = (*DAMAGE, SafetensorError, KeyError, TypeError, AttributeError, RuntimeError)


def pack(tree: Any) -> bytes:
    """Bytes of `tree`; TypeError naming a value that is none of the above."""
    tensors: dict[str, Tensor] = {}
    shape = msgspec.json.encode(_down(tree, tensors))
    tensors["tree"] = torch.frombuffer(bytearray(shape), dtype=torch.uint8)
    return safetensors.torch.save(tensors)


def unpack(content: bytes) -> Any:
    tensors = safetensors.torch.load(content)
    return _up(msgspec.json.decode(tensors["tree"].numpy().tobytes()), tensors)


def _down(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, np.ndarray):
        return {_MARK: "array", "of": _down(torch.from_numpy(value.astype(np.int64)), tensors), "kind": value.dtype.str}
    if isinstance(value, Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {_MARK: "tensor", "of": key}
    if isinstance(value, dict):
        return {_MARK: "dict", "of": [[_down(key, tensors), _down(one, tensors)] for key, one in value.items()]}
    if isinstance(value, (list, tuple)):
        return {_MARK: type(value).__name__, "of": [_down(one, tensors) for one in value]}
    if isinstance(value, float):
        return {_MARK: "float", "of": value.hex()}  # NaN and Inf have no place in JSON
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be packed")


def _up(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    kind, of = value[_MARK], value["of"]
    if kind == "tensor":
        return tensors[of]
    if kind == "float":
        return float.fromhex(of)
    if kind == "array":
        return _up(of, tensors).numpy().astype(value["kind"])
    if kind == "dict":
        return {_up(key, tensors): _up(one, tensors) for key, one in of}
    made = [_up(one, tensors) for one in of]
    return tuple(made) if kind == "tuple" else made
