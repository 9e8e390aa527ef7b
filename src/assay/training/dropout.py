"""Dropout whose masks come from the replicate's own stream, in every kind of execution.

`nn.Dropout` draws from the global generator: replicates trained together would share it, and each would
depend on how many there are. The modules here ask a `Masks` instead, which either draws at once (one
replicate) or hands out what was drawn for all lanes before the step (replicates trained together).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Site = tuple[tuple[int, ...], float]  # shape of a mask for one replicate, and the chance to keep


class Masks:
    """Source of masks for one model. `generators` has one stream a lane."""

    def __init__(self, generators: Sequence[torch.Generator] = ()) -> None:
        self.generators = list(generators)
        self.seen: list[Site] = []  # sites of the forward pass under way, in order
        self._given: list[Tensor] | None = None

    def take(self, shape: tuple[int, ...], keep: float, like: Tensor) -> Tensor:
        """The next mask: 0 with chance 1 - keep, else 1 / keep."""
        if self._given is None:
            self.seen.append((shape, keep))
            return self.draw((shape, keep), like.device)[0].to(like.dtype)
        position = len(self.seen)
        self.seen.append((shape, keep))
        if position >= len(self._given) or tuple(self._given[position].shape) != shape:
            raise RuntimeError("dropout differs from one forward pass to the next")
        return self._given[position].to(like.dtype)

    def draw(self, site: Site, device: torch.device) -> Tensor:
        """(lanes, *shape) masks of one site, each lane from its own stream.

        16 random bits decide over one number: four times as fast as `bernoulli_`, at the price of a chance
        that is a multiple of 2**-16. The scale follows that very chance, so that means stay exact.
        """
        shape, keep = site
        count = math.prod(shape)
        bits = torch.empty((len(self.generators), -(-count // 4)), dtype=torch.int64, device=device)
        for lane, generator in zip(bits.unbind(0), self.generators, strict=True):
            lane.random_(-(2**63), None, generator=generator)
        dropped = min(round((1.0 - keep) * 2**16), 2**16 - 1)
        kept = bits.view(torch.int16)[:, :count].reshape(len(bits), *shape) >= dropped - 2**15
        return kept.to(torch.get_default_dtype()).div_(1 - dropped / 2**16)

    def give(self, masks: list[Tensor] | None) -> None:
        """Hand out `masks` in the coming forward pass; None draws as asked."""
        self._given = masks
        self.seen = []


class StreamDropout(nn.Module):
    """Stands in for `nn.Dropout` and its channel-wise kin."""

    def __init__(self, p: float, masks: Masks, spatial: int) -> None:
        super().__init__()
        self.p = p
        self.masks = masks
        self.spatial = spatial  # trailing dimensions that share one draw

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or not self.p:
            return inputs
        if self.p >= 1:
            return inputs * 0.0
        shape = tuple(inputs.shape)
        if self.spatial:
            shape = shape[: -self.spatial] + (1,) * self.spatial
        return inputs * self.masks.take(shape, 1.0 - self.p, inputs)


_KINDS: dict[type[nn.Module], int] = {nn.Dropout: 0, nn.Dropout1d: 1, nn.Dropout2d: 2, nn.Dropout3d: 3}


def install(module: nn.Module, masks: Masks) -> nn.Module:
    """Replace the dropout modules in `module` (in place); the module, or what stands in for it."""
    if type(module) in _KINDS:
        return StreamDropout(module.p, masks, _KINDS[type(module)])  # type: ignore[arg-type]
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) in _KINDS:
                setattr(parent, name, StreamDropout(child.p, masks, _KINDS[type(child)]))  # type: ignore[arg-type]
    return module
