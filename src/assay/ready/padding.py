"""A batch of examples of unequal lengths: padded with zeros behind, and a mask that says what is real.

    from assay.ready.padding import collate

The model then gets a dict: `values` (B, L, …), where L is the longest length in the batch, and `mask` (B, L), true
where a value is real.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

VALUES, MASK = "values", "mask"


def collate(examples: list[Any]) -> dict[str, Tensor]:
    """Tensors (L, …), or dicts of such, as one dict. Of a dict each Tensor is padded under its own name, and `mask` is
    that of the first one whose lengths differ."""
    if isinstance(examples[0], dict):
        made = {name: padded([example[name] for example in examples]) for name in examples[0]}
        lengths = next(
            (sizes for name in made if len(set(sizes := [_length(example[name]) for example in examples])) > 1),
            [_length(next(iter(example.values()))) for example in examples],
        )
        return {**made, MASK: mask(lengths)}
    return {VALUES: padded(examples), MASK: mask([_length(example) for example in examples])}


def padded(tensors: list[Tensor]) -> Tensor:
    """(B, …) Tensors of unequal shapes, each in the front corner of the smallest that holds all."""
    sizes = [max(lengths) for lengths in zip(*(tensor.shape for tensor in tensors), strict=True)]
    found = tensors[0].new_zeros(len(tensors), *sizes)
    for row, tensor in zip(found, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return found


def mask(lengths: list[int]) -> Tensor:
    """(B, L) true for the first `lengths[row]` of each row."""
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


def _length(tensor: Tensor) -> int:
    return len(tensor) if tensor.ndim else 1
