"""Augmentation of images on tensors: `train.augment: {flip: 0.5, shift: 0.1}` in params.yaml, or these functions in an
`augment()` of one's own.

Each takes images (B, H, W) or (B, C, H, W), a number that says how strongly, and the replicate's generator; each image
is changed by a draw of its own. What comes in from outside of an image is 0: the mean, where inputs are normalised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

#: area of an erased box, as a share of the image, and its longest side over its shortest: Zhong et al. 2020, table 2
ERASED, RATIO = (0.02, 0.4), 3.3


def flip(images: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Mirror left and right with this chance."""
    return torch.where(_each(images, generator) < chance, images.flip(-1), images)


def flip_vertical(images: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Mirror top and bottom with this chance."""
    return torch.where(_each(images, generator) < chance, images.flip(-2), images)


def shift(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Move by whole pixels, up to this share of the height and of the width: a crop of the padded image."""
    count, (height, width) = len(images), images.shape[-2:]
    place = images.device
    reach = torch.tensor([round(share * height), round(share * width)], device=place)
    moved = torch.rand(count, 2, generator=generator, device=place) * (2 * reach + 1)
    down, right = (moved.floor().long() - reach).T
    rows = torch.arange(height, device=place) - down[:, None]
    columns = torch.arange(width, device=place) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    flat = images.reshape(count, -1, height, width).movedim(1, -1)
    number = torch.arange(count, device=place)[:, None, None]
    taken = flat[number, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    made: Tensor = (taken * inside[..., None]).movedim(-1, 1).reshape(images.shape)
    return made


def rotate(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Turn around the middle by up to so many degrees either way, between pixels linearly."""
    angle = (_each(images, generator).flatten() * 2 - 1) * math.radians(degrees)
    return _turned(images, angle)


def brightness(images: Tensor, reach: float, generator: torch.Generator) -> Tensor:
    """Add a number up to `reach` either way to all of an image."""
    return images + (_each(images, generator) * 2 - 1) * reach


def contrast(images: Tensor, reach: float, generator: torch.Generator) -> Tensor:
    """Move every pixel away from the image's mean, or towards it, by a factor of 1 - reach to 1 + reach."""
    mean = images.flatten(1).mean(1).reshape(_shape(images))
    return mean + (images - mean) * (1 + (_each(images, generator) * 2 - 1) * reach)


def noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Add normal noise of this standard deviation to each number."""
    drawn = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return images + deviation * drawn


def erase(images: Tensor, chance: float, generator: torch.Generator) -> Tensor:
    """Set a box at random to 0, with this chance (Zhong et al. 2020, algorithm 1)."""
    count, (height, width) = len(images), images.shape[-2:]
    drawn = torch.rand(count, 5, generator=generator, device=images.device)
    area = (ERASED[0] + drawn[:, 0] * (ERASED[1] - ERASED[0])) * height * width
    ratio = torch.exp((drawn[:, 1] * 2 - 1) * math.log(RATIO))
    high = (area * ratio).sqrt().round().clamp(1, height)
    wide = (area / ratio).sqrt().round().clamp(1, width)
    top, left = ((drawn[:, 2] * (height - high + 1)).floor(), (drawn[:, 3] * (width - wide + 1)).floor())
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    across = (rows >= top[:, None]) & (rows < (top + high)[:, None])
    along = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    box = across[:, :, None] & along[:, None, :] & (drawn[:, 4] < chance)[:, None, None]
    return images.masked_fill(box if images.ndim == 3 else box[:, None], 0.0)


#: in the order in which they are applied: what moves an image comes before what changes its numbers
CHANGES: Mapping[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "flip": flip,
    "flip_vertical": flip_vertical,
    "rotate": rotate,
    "shift": shift,
    "brightness": brightness,
    "contrast": contrast,
    "noise": noise,
    "erase": erase,
}


def changed(images: Tensor, asked: Mapping[str, float], generator: torch.Generator) -> Tensor:
    """`images` after all changes that are asked for, by name."""
    for name, change in CHANGES.items():
        if asked.get(name):
            images = change(images, asked[name], generator)
    return images


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """Each image turned by its angle (B,), against the clock."""
    cos, sin, (height, width) = angle.cos(), angle.sin(), images.shape[-2:]
    aspect = height / width  # the grid goes from -1 to 1 both ways, whatever the shape
    rows = [torch.stack([cos, -sin * aspect, 0 * cos], 1), torch.stack([sin / aspect, cos, 0 * cos], 1)]
    flat = images.reshape(len(images), -1, height, width)
    grid = functional.affine_grid(torch.stack(rows, 1).to(images.dtype), list(flat.shape), align_corners=False)
    return functional.grid_sample(flat, grid, align_corners=False).reshape(images.shape)


def _each(images: Tensor, generator: torch.Generator) -> Tensor:
    """A number between 0 and 1 for each image, in a shape that meets all of its pixels."""
    drawn = torch.rand(len(images), generator=generator, device=images.device, dtype=images.dtype)
    return drawn.reshape(_shape(images))


def _shape(images: Tensor) -> tuple[int, ...]:
    return (len(images), *(1 for _ in images.shape[1:]))
