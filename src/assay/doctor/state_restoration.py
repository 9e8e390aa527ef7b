"""Random generators, weights, buffers, modes and gradients: put back after the doctor has looked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

#: of the doctor's own draws; far from what people write
SEED = 7_620_413


def seed_all(seed: int = SEED) -> None:
    """Seed Python's, NumPy's and torch's generators, as `generators_put_back` undoes.

    Not `torch.manual_seed`: where CUDA is not in use yet, that would be remembered until it is.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if _cuda_in_use():
        torch.cuda.manual_seed_all(seed)


def _cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@contextmanager
def generators_put_back() -> Iterator[None]:
    """Around the doctor's work: all global generators stand afterwards where they stood."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if _cuda_in_use() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


class ModuleState:
    """Values of a module's parameters and buffers, its modes and gradients, to be put back."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.values = [(one, one.detach().clone(), one.requires_grad) for one in _tensors(module)]
        self.gradients = [(one, one.grad, _copied(one.grad)) for one in module.parameters()]
        self.modes = [(one, one.training) for one in module.modules()]
        self.buffers = [(one, dict(one._buffers)) for one in module.modules()]

    def put_back(self) -> None:
        for owner, held in self.buffers:
            for name, value in held.items():
                if owner._buffers.get(name) is not value:
                    owner._buffers[name] = value
        with torch.no_grad():
            for tensor, value, needs in self.values:
                if not _equal(tensor, value):
                    tensor.detach().copy_(value)
                if tensor.requires_grad != needs:
                    tensor.requires_grad_(needs)
        for parameter, gradient, value in self.gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if gradient is not None and value is not None and not _equal(gradient, value):
                gradient.detach().copy_(value)
        for one, training in self.modes:
            one.training = training


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from (one for one in module.parameters() if not nn.parameter.is_lazy(one))
    yield from (one for one in module.buffers() if not nn.parameter.is_lazy(one))


def _copied(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.detach().clone()


def _equal(one: Tensor, other: Tensor) -> bool:
    """Bitwise but for NaN, which equals itself here."""
    if one.shape != other.shape or one.layout != torch.strided:
        return False
    if one.is_floating_point():
        return torch.equal(torch.nan_to_num(one.detach()), torch.nan_to_num(other))
    return torch.equal(one.detach(), other)
