"""Batch normalisation of all lanes at once: every channel of every lane is normalised by itself, so lanes are channels.

Torch's own batching rule does so, too, but leaves weight and bias to passes of their own. Their backward passes hold
further copies of the activations: a quarter more memory for a small convolution, and a tenth of its time. And
on a CPU a lane's last bits would depend on how many there are, where single numbers are normalised and no images.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def install(module: nn.Module) -> None:
    """Let the batch normalisation in `module` (in place) see all lanes inside of `vmap`."""
    for one in module.modules():
        if type(one) in _KINDS and one.momentum is not None:  # without it a running mean asks how many steps there were
            one.forward = MethodType(_forward, one)


def _forward(self: nn.BatchNorm2d, inputs: Tensor) -> Tensor:
    """As the module's own, through `_Folded`."""
    self._check_input_dim(inputs)
    if self.training and self.track_running_stats and self.num_batches_tracked is not None:
        self.num_batches_tracked.add_(1)
    by_batch = self.training or self.running_mean is None
    kept = (None, None) if self.training and not self.track_running_stats else (self.running_mean, self.running_var)
    made: Tensor = _Folded.apply(  # type: ignore[no-untyped-call]
        inputs, *kept, self.weight, self.bias, by_batch, self.momentum, self.eps
    )
    return made


class _Folded(torch.autograd.Function):
    """`batch_norm` with a rule for lanes. Autograd runs outside of `vmap`, and sees what the rule does."""

    @staticmethod
    def forward(inputs: Tensor, *rest: Any) -> Tensor:
        return functional.batch_norm(inputs, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, *rest: Any) -> tuple[Tensor, int]:
        """(batch, lanes, channels, …) inputs as (batch, lanes * channels, …).

        In order in memory: only so does torch sum up each channel by itself, however many there are.
        """
        lanes, (place, *places) = info.batch_size, in_dims
        laid = inputs.unsqueeze(1).expand(-1, lanes, *inputs.shape[1:]) if place is None else inputs.movedim(place, 1)
        mean, var, weight, bias = (_stacked(*pair, lanes) for pair in zip(rest[:4], places, strict=False))
        channels = laid.flatten(1, 2)
        single = laid.shape[3:].numel() == 1  # then examples take the place of pixels
        channels = channels.flatten(1).T.contiguous()[None] if single else channels.contiguous()
        made = functional.batch_norm(channels, mean, var, weight, bias, *rest[4:])
        return (made[0].T if single else made).reshape(laid.shape), 1


def _stacked(tensor: Tensor | None, place: int | None, lanes: int) -> Tensor | None:
    """(lanes * channels,) running statistics, weight or bias: a view, as the statistics are changed in place."""
    if tensor is None:
        return None
    return tensor.expand(lanes, -1).flatten() if place is None else tensor.movedim(place, 0).flatten()
