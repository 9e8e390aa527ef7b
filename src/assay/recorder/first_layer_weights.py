"""The weights that meet the input first, where they are pictures: kernels of a convolution, or of a linear layer one
number for each pixel.

Covers: which layer that is, its first units before and after training. Not covered: layers behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from msgspec import UNSET, UnsetType
from torch import Tensor, nn

from assay.core.net_record import FirstLayer, WeightPicture
from assay.recorder import input_pictures

#: units that are drawn
UNITS = 16
#: characters that their pictures may take
MOST_PICTURES = 24 * 1024
NO_PICTURES = "first-layer weights are not drawn: the first layer with weights takes no pictures"
#: kernels of fewer numbers are no picture
LEAST_KERNEL = 4


class FirstLayerWeights:
    """The layer, and its units as they began. `problem`: why they are not drawn, "" where they are."""

    def __init__(self, name: str, layer: nn.Module | None, example: Any) -> None:
        """`example` is one input of the module that has `layer` under `name`."""
        self.name, self.kind = name, type(layer).__name__
        self.shape = _kernel(layer, example)
        self.problem = "" if self.shape else NO_PICTURES
        self.start = _units(layer, self.shape) if self.shape else torch.zeros(0)

    @classmethod
    def met_first(cls, module: nn.Module, forward: Callable[[], object], example: Any) -> FirstLayerWeights:
        """Of the layer that a pass goes through first. `module` is a copy that may be hooked, `forward` the pass."""
        return cls(*_first_met(module, forward), example)

    @classmethod
    def defined_first(cls, module: object, example: Any) -> FirstLayerWeights | None:
        """Of a module after its training: of the layer that it names first, without first weights; None for others."""
        if not isinstance(module, nn.Module):
            return None
        name, layer = next(iter(_with_weights(module)), ("", None))
        found = cls(name, layer, example)
        found.start = torch.full_like(found.start, math.nan)
        return found

    def record(self, module: nn.Module) -> FirstLayer | UnsetType:
        """The same units of a copy of the module, after training."""
        if not self.shape:
            return UNSET
        layer = module.get_submodule(self.name)
        units = _units(layer, self.shape)
        most = [float(one.abs().max()) for one in units]
        scaled = [_scaled(one, largest) for one, largest in zip(units, most, strict=True)]
        shown = input_pictures.fitting(scaled, lambda pixels: pixels, MOST_PICTURES)
        drawn = [
            WeightPicture(display, float(f"{largest:.3g}") if math.isfinite(largest) else 0.0, _moved(unit, first))
            for display, largest, unit, first in zip(shown, most, units, self.start, strict=True)
        ]
        weight: Any = layer.weight
        return FirstLayer(self.name or "the model itself", self.kind, len(weight), drawn)


def _first_met(module: nn.Module, forward: Callable[[], object]) -> tuple[str, nn.Module | None]:
    """The first layer with weights that a forward pass goes through, by its name."""
    met: list[tuple[str, nn.Module]] = []
    hooks = []
    for note in _with_weights(module):
        hooks.append(note[1].register_forward_pre_hook(partial(_note, met, note)))
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return met[0] if met else ("", None)


def _note(met: list[tuple[str, nn.Module]], note: tuple[str, nn.Module], *_: object) -> None:
    met.append(note)


def _with_weights(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Layers without layers of their own that have a `weight`, by name."""
    for name, layer in module.named_modules():
        if isinstance(getattr(layer, "weight", None), Tensor) and not list(layer.children()):
            yield name, layer


def _kernel(layer: nn.Module | None, example: Any) -> tuple[int, ...]:
    """Shape in which one unit's weights are a picture; () where they are none."""
    if isinstance(layer, nn.Conv2d):
        shape = tuple(layer.weight.shape[1:])
        return shape if math.prod(shape[1:]) >= LEAST_KERNEL else ()
    if isinstance(layer, nn.Linear) and isinstance(example, Tensor):
        shape = tuple(example.shape)
        return (
            shape
            if input_pictures.channels_first(example) is not None and math.prod(shape) == layer.weight.shape[1]
            else ()
        )
    return ()


def _units(layer: Any, shape: tuple[int, ...]) -> Tensor:
    """(units, *shape) weights, a copy."""
    weight: Tensor = layer.weight[:UNITS].detach()
    plain = weight.abs() if weight.is_complex() else weight
    return plain.double().cpu().clone().reshape(-1, *shape)


def _scaled(unit: Tensor, most: float) -> Tensor:
    """(C, H, W) weights of one unit between 0 and 1: a half is 0, its largest weight 0 or 1."""
    if unit.ndim == 2:
        pixels = unit[None]
    else:
        last = unit.shape[2] in (1, 3) and unit.shape[0] not in (1, 3)
        pixels = unit.permute(2, 0, 1) if last else unit
    return 0.5 + 0.5 * (pixels / (most or 1.0)).nan_to_num()


def _moved(unit: Tensor, start: Tensor) -> float | None:
    """How far it is from its first weights, in parts of their length."""
    length = float(start.norm())
    moved = float((unit - start).norm()) / length if length else math.nan
    return float(f"{moved:.3g}") if math.isfinite(moved) else None
