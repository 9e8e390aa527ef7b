"""Embeddings with an index that stands for padding and never trains.

Inside of `vmap` torch (2.13) keeps the padding's row still in the first lane alone, and says nothing.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def install(module: nn.Module) -> None:
    """Let the embeddings in `module` (in place) keep the padding's row still in every lane."""
    found: list[Any] = [one for one in module.modules() if type(one) is nn.Embedding]
    for one in found:
        if one.padding_idx is not None and one.max_norm is None:
            one.forward = MethodType(_forward, one)


def _forward(self: nn.Embedding, indices: Tensor) -> Tensor:
    assert self.padding_idx is not None
    rows = functional.embedding(indices, self.weight, None, None, self.norm_type, self.scale_grad_by_freq, self.sparse)
    return torch.where(indices.eq(self.padding_idx).unsqueeze(-1), rows.detach(), rows)
