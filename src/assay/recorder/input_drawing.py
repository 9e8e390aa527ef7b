"""A few examples as the forward pass gets them, drawn for the eye.

Each channel is scaled to its own range over all examples of the batch, and the range is printed: normalised values have
no black and white of their own. Covers: pictures of one, three or more channels, numbers, dicts of Tensors; a limit of
bytes. Not covered: what they are called (`recorder.target_labels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from msgspec import UNSET
from numpy.typing import NDArray
from torch import Tensor

from assay.core.case_records import ExampleDisplay
from assay.core.net_record import NetBatch, NetInput, ValueRange
from assay.data import example_display, png
from assay.data.example_display import LEAST_SIDE, LONGEST_SIDE, MOST_ASPECT

#: bytes that the pictures of one batch may take as they are stored, in base64
MOST_PICTURES = 72 * 1024
#: smallest longer side that pictures are shrunk to
SMALLEST = 16
#: channels of a picture that is neither grey nor in colours which are drawn, side by side
TILES = 4
#: most channels that an array may have and be taken for a picture
MOST_CHANNELS = 64
#: in place of a picture that is too large at any size
TOO_MANY = "not drawn: the record has no room for it"


def batch(rows: Sequence[Any], labels: Sequence[str], where: str) -> NetBatch:
    """What is shown of examples, Tensors or dicts of Tensors each, with their labels."""
    arrays = [_main(row) for row in rows]
    pixels = [None if one is None else channels_last(one) for one in arrays]
    ranges = _ranges([one for one in pixels if one is not None])
    displays = _displays(rows, arrays, pixels, ranges)
    examples = [_input(display, label, array) for display, label, array in zip(displays, labels, arrays, strict=True)]
    known = _finite([one for one in arrays if one is not None])
    first = arrays[0]
    return NetBatch(
        where=where,
        shape="several Tensors by name" if first is None else "×".join(map(str, first.shape)) or "one number",
        dtype="" if first is None else str(first.dtype),
        examples=examples,
        channels=ranges,
        mean=_rounded(known.mean()) if known.size else UNSET,
        sd=_rounded(known.std()) if known.size else UNSET,
    )


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Numbers as NumPy has them; of complex ones the magnitude."""
    plain = tensor.detach().cpu()
    plain = plain.abs() if plain.is_complex() else plain
    return np.array((plain.float() if plain.dtype == torch.bfloat16 else plain).numpy())


def channels_last(array: NDArray[Any]) -> NDArray[Any] | None:
    """(H, W, C) of an array that looks like a picture, whatever its number of channels; else None."""
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3):
        return None
    if array.ndim == 2:
        found = array[:, :, None]
    elif array.shape[2] in (1, 3) and array.shape[0] not in (1, 3):
        found = array
    else:
        found = array.transpose(1, 2, 0)
    short, long = sorted(found.shape[:2])
    fits = short >= LEAST_SIDE and long <= MOST_ASPECT * short and found.shape[2] <= MOST_CHANNELS
    return found if fits else None


def picture(scaled: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bytes (H, W, 1 or 3) of (H, W, C) between 0 and 1: grey, colours, else the first channels side by side."""
    drawn = np.rint(np.clip(scaled, 0.0, 1.0) * 255).astype(np.uint8)
    if drawn.shape[2] in (1, 3):
        return drawn
    tiles = [drawn[:, :, place : place + 1] for place in range(min(TILES, drawn.shape[2]))]
    gap = np.full((drawn.shape[0], 1, 1), 128, dtype=np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


def _main(row: Any) -> NDArray[Any] | None:
    """The one array of an input; of several the first that is a picture, None where none is."""
    if isinstance(row, Tensor):
        return array_of(row)
    found = (array_of(one) for one in row.values())
    return next((one for one in found if channels_last(one) is not None), None)


def _finite(arrays: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    flat = [one.ravel().astype(np.float64) for one in arrays]
    whole = np.concatenate(flat) if flat else np.zeros(0)
    return whole[np.isfinite(whole)]


def _ranges(pixels: Sequence[NDArray[Any]]) -> list[ValueRange]:
    """Lowest and highest value of each channel, over all pictures that have it."""
    count = max((one.shape[2] for one in pixels), default=0)
    return [_span(_finite([one[:, :, place] for one in pixels if one.shape[2] > place])) for place in range(count)]


def _span(known: NDArray[np.float64]) -> ValueRange:
    return (_rounded(known.min()), _rounded(known.max())) if known.size else (None, None)


def _rounded(value: Any) -> float:
    """Four figures, which is what a reader sees."""
    return float(f"{float(value):.4g}")


def _displays(
    rows: Sequence[Any],
    arrays: Sequence[NDArray[Any] | None],
    pixels: Sequence[NDArray[Any] | None],
    ranges: Sequence[ValueRange],
) -> list[ExampleDisplay]:
    """Pictures where all that are pictures have room, at the largest size at which they do; else numbers."""
    scaled = [None if one is None else _scaled(one, ranges) for one in pixels]
    drawn = fitting([one for one in scaled if one is not None], MOST_PICTURES)
    left = iter(drawn)
    found = []
    for row, array, one in zip(rows, arrays, scaled, strict=True):
        if one is not None:
            found.append(next(left))
        elif array is not None:
            found.append(example_display.of_numbers(array))
        else:
            found.append(example_display.of_row({name: _words(tensor) for name, tensor in row.items()}))
    return found


def _words(tensor: Tensor) -> str:
    return str(example_display.of_numbers(array_of(tensor)).text)


def _scaled(pixels: NDArray[Any], ranges: Sequence[ValueRange]) -> NDArray[np.float64]:
    """Each channel from 0 at its lowest to 1 at its highest value; what is not finite is 0, one value alone a half."""
    found = np.full(pixels.shape, 0.5)
    for place in range(pixels.shape[2]):
        low, high = ranges[place]
        if low is not None and high is not None and high > low:
            values = np.nan_to_num(pixels[:, :, place].astype(np.float64), nan=low, posinf=high, neginf=low)
            found[:, :, place] = (values - low) / (high - low)
    return found


def fitting(scaled: Sequence[NDArray[np.float64]], most: int) -> list[ExampleDisplay]:
    """All pictures (H, W, C) at one size, the largest at which they take at most `most` characters.

    A few of them tell about which size that is.
    """
    longest = float(LONGEST_SIDE)
    if len(scaled) > 4:
        few = sum(_stored(_pixels(scaled[:4], longest))) * len(scaled) / 4
        longest = min(longest, _largest(scaled[:4], longest) * (most / max(few, 1.0)) ** 0.5)
    while longest >= SMALLEST:
        made = [example_display.of_drawn(one) for one in _pixels(scaled, longest)]
        if sum(len(str(one.picture)) for one in made) <= most:
            return made
        longest *= 0.8
    return [ExampleDisplay(note=TOO_MANY)] * len(scaled)


def _largest(scaled: Sequence[NDArray[np.float64]], longest: float) -> float:
    """The longest side as drawn now."""
    return max(max(one.shape[:2]) for one in _pixels(scaled, longest)) if scaled else longest


def _pixels(scaled: Iterable[NDArray[np.float64]], longest: float) -> list[NDArray[np.uint8]]:
    return [picture(example_display.smaller(one, int(longest))) for one in scaled]


def _stored(pixels: Iterable[NDArray[np.uint8]]) -> list[int]:
    """Characters of each in base64."""
    return [-(-len(png.encode(one)) // 3) * 4 for one in pixels]


def _input(display: ExampleDisplay, label: str, array: NDArray[Any] | None) -> NetInput:
    if array is None or not array.size:
        return NetInput(display, label)
    known = _finite([array])
    return NetInput(display, label, _span(known), int(array.size - known.size))
