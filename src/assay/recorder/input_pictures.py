"""A few examples as the forward pass gets them, drawn for the eye.

Each channel is scaled to its own range over all examples of the batch, and the range is printed: normalised values have
no black and white of their own. Covers: pictures of one, three or more channels, numbers, dicts of Tensors; a limit of
bytes. Not covered: what they are called (`recorder.target_labels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from msgspec import UNSET
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from assay.core.case_records import ExampleDisplay
from assay.core.net_record import NetBatch, NetInput, ValueRange
from assay.data import example_display, png
from assay.data.example_display import LEAST_SIDE, LONGEST_SIDE, MOST_ASPECT

#: characters that the pictures of one batch may take as they are stored: a page with two of them has 300 KiB at most
MOST_PICTURES = 48 * 1024
#: steps from the darkest to the brightest of pictures that have to shrink: fewer steps leave more pixels
FEWER_STEPS = 31
#: pictures that tell how large all of them may be
FEW = 2
#: smallest longer side that pictures are shrunk to
SMALLEST = 16
#: channels of a picture that is neither grey nor in colours which are drawn, side by side
TILES = 4
#: most channels that an array may have and be taken for a picture
MOST_CHANNELS = 64
#: in place of a picture that is too large at any size
TOO_MANY = "not drawn: the record has no room for it"


class ValueEnds(NamedTuple):
    """Lowest and highest finite value, Inf and -Inf where none is; whether all are."""

    low: float
    high: float
    finite: bool


#: pixels (C, H, W) → the same between 0 and 1
Scaling = Callable[[Tensor], Tensor]


def batch(rows: Sequence[Any], labels: Sequence[str], where: str) -> NetBatch:
    """What is shown of examples, Tensors or dicts of Tensors each, with their labels."""
    given = [_main(row) for row in rows]
    pixels = [None if one is None else channels_first(one) for one in given]
    ends = [None if one is None or not one.numel() else _ends(one, two) for one, two in zip(given, pixels, strict=True)]
    ranges = _ranges([one for one, two in zip(ends, pixels, strict=True) if one is not None and two is not None])
    displays = _displays(rows, given, pixels, ranges)
    first, moments = given[0], _moments([one for one in given if one is not None])
    return NetBatch(
        where=where,
        shape="several Tensors by name" if first is None else "×".join(map(str, first.shape)) or "one number",
        dtype="" if first is None else str(first.dtype).removeprefix("torch."),
        examples=[_input(*one) for one in zip(displays, labels, given, ends, strict=True)],
        channels=ranges,
        mean=UNSET if moments is None else _rounded(moments[0]),
        sd=UNSET if moments is None else _rounded(moments[1]),
    )


def channels_first(tensor: Tensor) -> Tensor | None:
    """(C, H, W) of a Tensor that looks like a picture, whatever its number of channels; else None."""
    if tensor.ndim not in (2, 3):
        return None
    if tensor.ndim == 2:
        found = tensor[None]
    elif tensor.shape[2] in (1, 3) and tensor.shape[0] not in (1, 3):
        found = tensor.permute(2, 0, 1)
    else:
        found = tensor
    short, long = sorted(found.shape[1:])
    fits = short >= LEAST_SIDE and long <= MOST_ASPECT * short and found.shape[0] <= MOST_CHANNELS
    return found if fits else None


def fitting(pixels: Sequence[Tensor], scaled: Scaling, most: int) -> list[ExampleDisplay]:
    """All pictures (C, H, W) at one size, the largest at which they take at most `most` characters.

    `scaled` makes numbers between 0 and 1 of them once they are small. A few of them tell about which size that is.
    """
    longest, pixels, steps = float(LONGEST_SIDE), [_smaller(one, LONGEST_SIDE) for one in pixels], 255
    if len(pixels) > FEW and _taken(_drawn(pixels[:FEW], scaled, longest, steps)) * len(pixels) / FEW > most:
        few, steps = _drawn(pixels[:FEW], scaled, longest, FEWER_STEPS), FEWER_STEPS
        taken = _taken(few) * len(pixels) / FEW
        longest = max(SMALLEST, max(max(one.shape[:2]) for one in few) * min(1.0, (most / taken) ** 0.5))
    while longest >= SMALLEST:
        made = [example_display.of_drawn(one) for one in _drawn(pixels, scaled, longest, steps)]
        if sum(len(str(one.picture)) for one in made) <= most:
            return made
        longest, steps = longest * 0.8, FEWER_STEPS
    return [ExampleDisplay(note=TOO_MANY)] * len(pixels)


def _main(row: Any) -> Tensor | None:
    """The one Tensor of an input; of several the first that is a picture, None where none is."""
    if isinstance(row, Tensor):
        return row.detach().cpu()
    found = (one.detach().cpu() for one in row.values())
    return next((one for one in found if channels_first(one) is not None), None)


def _real(tensor: Tensor) -> Tensor:
    """Floating point numbers; of complex ones the magnitude."""
    plain = tensor.abs() if tensor.is_complex() else tensor
    return plain if plain.dtype in (torch.float32, torch.float64) else plain.float()


def _ranges(ends: Sequence[Sequence[ValueEnds]]) -> list[ValueRange]:
    """Lowest and highest value of each channel, over all pictures that have it."""
    count = max(map(len, ends), default=0)
    return [_span([one[place] for one in ends if len(one) > place]) for place in range(count)]


def _ends(tensor: Tensor, pixels: Tensor | None) -> list[ValueEnds]:
    """Lowest and highest finite value of each channel of a picture (C, H, W), or of all numbers."""
    flat = _real(tensor).reshape(1, -1) if pixels is None else _real(pixels).reshape(len(pixels), -1)
    low, high = flat.aminmax(dim=1)
    finite = bool(low.isfinite().all() and high.isfinite().all())
    if not finite:
        good = flat.isfinite()
        low, high = flat.where(good, torch.inf).amin(1), flat.where(good, -torch.inf).amax(1)
    return [ValueEnds(one, two, finite) for one, two in zip(low.tolist(), high.tolist(), strict=True)]


def _span(ends: Sequence[ValueEnds]) -> ValueRange:
    low, high = min(one.low for one in ends), max(one.high for one in ends)
    return (_rounded(low), _rounded(high)) if low <= high else (None, None)


def _moments(given: Sequence[Tensor]) -> tuple[float, float] | None:
    """Mean and standard deviation over all finite values; None where there is none.

    Example by example: what fits into a processor's cache is read there a second time.
    """
    flat = [_real(one).reshape(-1) for one in given]
    if not math.isfinite(sum(float(one.sum()) for one in flat)):
        flat = [one[one.isfinite()].double() for one in flat]
    count = sum(map(len, flat))
    if not count:
        return None
    mean = sum(float(one.sum()) for one in flat) / count
    squares = sum(float(centred @ centred) for centred in (one - mean for one in flat))
    return mean, math.sqrt(squares / count)


def _rounded(value: float) -> float:
    """Four figures, which is what a reader sees."""
    return float(f"{value:.4g}")


def _displays(
    rows: Sequence[Any], given: Sequence[Tensor | None], pixels: Sequence[Tensor | None], ranges: Sequence[ValueRange]
) -> list[ExampleDisplay]:
    """Pictures where all that are pictures have room, at the largest size at which they do; else numbers."""
    left = iter(fitting([one for one in pixels if one is not None], _scaling(ranges), MOST_PICTURES))
    found = []
    for row, tensor, one in zip(rows, given, pixels, strict=True):
        if one is not None:
            found.append(next(left))
        elif tensor is not None:
            found.append(_numbers(tensor))
        else:
            found.append(example_display.of_row({name: _numbers(part).text for name, part in row.items()}))
    return found


def _numbers(tensor: Tensor) -> ExampleDisplay:
    plain = _real(tensor) if tensor.is_complex() or tensor.dtype == torch.bfloat16 else tensor
    return example_display.of_numbers(plain.detach().cpu().numpy())


def _scaling(ranges: Sequence[ValueRange]) -> Scaling:
    """Each channel from 0 at its lowest to 1 at its highest value; one value alone is a half."""
    known = torch.tensor([(0.0, 0.0) if None in one else one for one in ranges], dtype=torch.float64).reshape(-1, 2)
    narrow = known.float()
    wide = not bool((narrow[:, 1] - narrow[:, 0]).isfinite().all())  # beyond what single precision holds

    def scaled(pixels: Tensor) -> Tensor:
        ends = known if wide or pixels.dtype == torch.float64 else narrow
        low, high = ends[: len(pixels), :, None, None].unbind(1)
        width = high - low
        found = torch.where(width > 0, (pixels - low) / width.where(width > 0, 1.0), 0.5)
        return found.nan_to_num(nan=0.0, posinf=1.0, neginf=0.0)

    return scaled


def _drawn(pixels: Iterable[Tensor], scaled: Scaling, longest: float, steps: int) -> list[NDArray[np.uint8]]:
    return [_picture(scaled(_smaller(one, longest)), steps) for one in pixels]


def _smaller(pixels: Tensor, longest: float) -> Tensor:
    """Means over areas, so that no side is longer than `longest`."""
    factor = max(pixels.shape[1:]) / longest
    if factor <= 1:
        return _real(pixels)
    height, width = (max(1, int(side / factor)) for side in pixels.shape[1:])
    return adaptive_avg_pool2d(_real(pixels), (height, width))


def _picture(scaled: Tensor, steps: int) -> NDArray[np.uint8]:
    """Bytes (H, W, 1 or 3) of (C, H, W) between 0 and 1: grey, colours, else the first channels side by side."""
    bright = (scaled.clamp(0.0, 1.0) * steps).round() * (255 / steps)
    drawn = bright.round().to(torch.uint8).permute(1, 2, 0).numpy()
    if drawn.shape[2] in (1, 3):
        return drawn
    gap = np.full((drawn.shape[0], 1, 1), 128, dtype=np.uint8)
    tiles = [drawn[:, :, place : place + 1] for place in range(min(TILES, drawn.shape[2]))]
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


def _taken(pictures: Iterable[NDArray[np.uint8]]) -> int:
    """Characters of them in base64."""
    return sum(-(-len(png.encode(one)) // 3) * 4 for one in pictures)


def _input(display: ExampleDisplay, label: str, given: Tensor | None, ends: list[ValueEnds] | None) -> NetInput:
    if given is None or ends is None:
        return NetInput(display, label)
    unlike = 0 if all(one.finite for one in ends) else int((~_real(given).isfinite()).sum())
    return NetInput(display, label, _span(ends), unlike)
