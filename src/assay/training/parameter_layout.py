"""Where each trained parameter lies in a row of `theta`.

All parameters of a lane lie in one row, so that an update rule, clipping and the search for non-finite numbers are a
few operations, however many layers and replicates there are. Every parameter starts at a multiple of 16 numbers, so
that vector instructions meet each lane alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

ALIGN = 16


class Place(NamedTuple):
    """Where a trained parameter lies in a row of `theta`. A complex number is two real ones, as in `torch.optim`."""

    name: str
    shape: tuple[int, ...]  # of real numbers
    start: int
    is_complex: bool

    def view(self, rows: Tensor) -> Tensor:
        part = rows[:, self.start : self.start + math.prod(self.shape)].view(len(rows), *self.shape)
        return torch.view_as_complex(part) if self.is_complex else part


@dataclass(frozen=True)
class ParameterSlices:
    """Where each trained parameter lies in a row of `theta`."""

    places: tuple[Place, ...]
    width: int  # numbers in a row, padding included

    @classmethod
    def of(cls, module: nn.Module) -> ParameterSlices:
        places: list[Place] = []
        width = 0
        for name, one in module.named_parameters():
            if one.requires_grad:
                shape = (*one.shape, 2) if one.is_complex() else tuple(one.shape)
                places.append(Place(name, shape, width, one.is_complex()))
                width += -(-math.prod(shape) // ALIGN) * ALIGN
        return cls(tuple(places), width)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.places)

    def views(self, rows: Tensor) -> list[Tensor]:
        """(lanes, *shape) views into `rows` (lanes, width), one a parameter."""
        return [one.view(rows) for one in self.places]
