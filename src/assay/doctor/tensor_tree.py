"""Tensors in nested tuples, lists and dicts, as batches and outputs hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def leaves(tree: Any) -> Iterator[Tensor]:
    """All tensors of `tree`, in order; objects that are no mapping, list or tuple hold none."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for one in tree.values():
            yield from leaves(one)
    elif isinstance(tree, list | tuple):
        for one in tree:
            yield from leaves(one)


def mapped(change: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """`tree` with `change` applied to each tensor; all else stays as it is."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return type(tree)({key: mapped(change, one) for key, one in tree.items()})
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(change, one) for one in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(change, one) for one in tree)
    return tree


def rows(tree: Any, batch_dim: int) -> int | None:
    """Number of examples where every tensor (but numbers) has it along `batch_dim`, else None."""
    shaped = [one for one in leaves(tree) if one.ndim > 0]
    if not shaped or any(one.ndim <= batch_dim or one.layout != torch.strided for one in shaped):
        return None
    sizes = {one.shape[batch_dim] for one in shaped}
    return sizes.pop() if len(sizes) == 1 else None


def first_rows(tree: Any, count: int, batch_dim: int) -> Any:
    """The first `count` examples of a batch whose tensors all have them along `batch_dim`."""
    return mapped(lambda one: one.narrow(batch_dim, 0, min(count, one.shape[batch_dim])) if one.ndim else one, tree)


def with_row(tree: Any, row: int, other: int, batch_dim: int) -> Any:
    """A copy of a batch in which example `row` is example `other`."""

    def change(one: Tensor) -> Tensor:
        if one.ndim == 0:
            return one
        copy = one.detach().clone()
        copy.select(batch_dim, row).copy_(one.detach().select(batch_dim, other))
        return copy

    return mapped(change, tree)


def finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; integers and sparse tensors count as finite."""
    dense = tensor.is_floating_point() and tensor.layout == torch.strided
    return not dense or bool(tensor.detach().isfinite().all())


def same(one: Any, other: Any) -> bool:
    """Whether two trees hold equal tensors, NaN equal to NaN."""
    left, right = list(leaves(one)), list(leaves(other))
    return len(left) == len(right) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
        if a.is_floating_point()
        else a.shape == b.shape and torch.equal(a, b)
        for a, b in zip(left, right, strict=True)
    )
