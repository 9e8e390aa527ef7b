"""Embeddings in lanes: with an index that stands for padding and never trains, and with sparse gradients.

Inside of `vmap` torch (2.13) keeps the padding's row still in the first lane alone, and says nothing; sparse gradients
it does not know there. They are the same numbers in another form, of no use to an update of all parameters at once.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def install(module: nn.Module) -> None:
    """Let the embeddings in `module` (in place) keep the padding's row still in every lane, with dense gradients."""
    for one in module.modules():
        if isinstance(one, nn.Embedding | nn.EmbeddingBag):
            one.sparse = False
    found: list[Any] = [one for one in module.modules() if type(one) is nn.Embedding]
    for one in found:
        if one.padding_idx is not None and one.max_norm is None:
            one.forward = MethodType(_forward, one)


def _forward(self: nn.Embedding, indices: Tensor) -> Tensor:
    assert self.padding_idx is not None
    rows = functional.embedding(indices, self.weight, None, None, self.norm_type, self.scale_grad_by_freq, self.sparse)
    return torch.where(indices.eq(self.padding_idx).unsqueeze(-1), rows.detach(), rows)
