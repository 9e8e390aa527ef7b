"""One example as a person sees it: a small PNG, a text, or a row of names and values, each within limits.

Covers: what a task's `show()` may return, what is shown of inputs by themselves (arrays that look like pictures,
numbers, texts, rows of tables), what is cut or refused and the sentence about it. Not covered: encoded files, which
need Pillow (`stages.show_examples`), and calling `show()`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core import sanitize_output
from assay.core.case_records import ExampleDisplay
from assay.data import png

#: longest side of a drawn picture in pixels: forty in colours, uncompressed, take less than 1.3 MB of a page
LONGEST_SIDE = 88
#: a picture of more times its shorter side is a line
MOST_ASPECT = 20
#: of a PNG that show() made itself
MOST_BYTES, MOST_PIXELS_A_SIDE = 24_000, 512
#: characters of a text, and of a value in a row; columns of a row
MOST_CHARACTERS, MOST_IN_CELL, MOST_COLUMNS = 1_000, 100, 50
#: shortest side of an array that is taken for a picture by itself
LEAST_SIDE = 4
ALLOWED = "PNG bytes, an array (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels, a text, or a dict for a row"

#: lowest and highest value: black and white
Span = tuple[float, float]
BYTES: Span = (0.0, 255.0)
#: where an object lies in memory, which is elsewhere in every process
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


class NotShownError(Exception):
    """What cannot be shown, in a sentence."""


def of_shown(value: Any) -> ExampleDisplay:
    """What `show()` returned. Raises NotShownError for another type, and for a picture beyond the limits."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return of_png(bytes(value))
    if isinstance(value, Mapping):
        return of_row(value)
    if callable(convert := getattr(value, "convert", None)):  # an image of Pillow, whose colours may stand in a table
        return of_pixels(_array(convert("RGB")), BYTES)
    array = _array(value)
    return of_pixels(array, _span_of(array))


def of_input(value: Any, span: Span | None = None, kind: str = "") -> ExampleDisplay:
    """What one input of a task shows by itself. `kind` is tokens, series or "", `span` what all pictures share."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, Mapping):
        return of_row(value)
    array = np.asarray(value)
    if not kind and is_picture(array):
        return of_pixels(array, span or _span_of(array))
    return of_numbers(array)


def is_picture(array: NDArray[Any]) -> bool:
    """Whether an input's shape and type are those of a picture."""
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3):
        return False
    pixels = _channels_last(array)
    if pixels is None:
        return False
    short, long = sorted(pixels.shape[:2])
    return bool(short >= LEAST_SIDE and long <= MOST_ASPECT * short)


def common_span(arrays: Iterable[NDArray[Any]]) -> Span:
    """Black and white for several pictures together, one after another in memory: none is brighter by itself alone."""
    spans = [(array.dtype, *_ends(array)) for array in arrays if array.size]
    if not spans:
        return 0.0, 1.0
    return _span(spans[0][0], min(low for _, low, _ in spans), max(high for _, _, high in spans))


def of_text(text: str) -> ExampleDisplay:
    """The beginning of a text."""
    note = f"cut: {len(text):,} characters" if len(text) > MOST_CHARACTERS else UNSET
    return ExampleDisplay(text=sanitize_output.lines(text[:MOST_CHARACTERS]), note=note)


def of_row(row: Mapping[Any, Any]) -> ExampleDisplay:
    """Names and values in their order."""
    cells = [[_cell(name), _cell(value)] for name, value in list(row.items())[:MOST_COLUMNS]]
    note = f"cut: {len(row):,} columns" if len(row) > MOST_COLUMNS else UNSET
    return ExampleDisplay(row=cells, note=note)


def of_numbers(array: NDArray[Any]) -> ExampleDisplay:
    """The first numbers of an array, and its shape."""
    flat = array.ravel()[: MOST_CHARACTERS // 2].tolist()
    said = " ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in flat)
    whole = len(flat) == array.size and len(said) <= MOST_CHARACTERS
    shape = "×".join(map(str, array.shape))
    note = UNSET if whole else f"cut: {array.size:,} numbers, {shape}"
    return ExampleDisplay(text=sanitize_output.line(said[:MOST_CHARACTERS]), note=note)


def of_png(content: bytes) -> ExampleDisplay:
    """A PNG as it is. Raises NotShownError for one that is damaged or too large."""
    size = png.size(content)
    if size is None:
        raise NotShownError(f"show() returned {len(content):,} bytes that are no whole PNG")
    _check_sides(*size)
    if len(content) > MOST_BYTES or max(size) > MOST_PIXELS_A_SIDE:
        limits = f"{MOST_BYTES:,} bytes and {MOST_PIXELS_A_SIDE} pixels a side"
        said = f"show() returned a PNG of {size[0]}×{size[1]} in {len(content):,} bytes"
        raise NotShownError(f"{said}; allowed: at most {limits}, or an array, which is made smaller")
    return _picture(content, size)


def of_pixels(array: NDArray[Any], span: Span) -> ExampleDisplay:
    """An array as a small picture, `span` from black to white."""
    pixels = _channels_last(array)
    if pixels is None:
        raise NotShownError(f"an array of shape {array.shape} is no picture; allowed: {ALLOWED}")
    _check_sides(pixels.shape[1], pixels.shape[0])
    small, (low, high) = _smaller(pixels), span
    finite = np.nan_to_num(small, nan=low, posinf=high, neginf=low)
    scaled = np.clip((finite - low) / ((high - low) or 1.0), 0.0, 1.0)
    drawn = np.rint(scaled * 255).astype(np.uint8)
    said = [] if span in (BYTES, (0.0, 1.0)) else [f"black {low:.4g}, white {high:.4g}"]
    if lost := pixels.size - int(np.isfinite(pixels).sum()):
        said.append("1 value is not finite" if lost == 1 else f"{lost:,} values are not finite")
    return of_drawn(drawn, "; ".join(said) or UNSET)


def not_shown(sentence: str) -> ExampleDisplay:
    """Nothing but the reason."""
    same = _ADDRESS.sub("0x…", sanitize_output.cut(" ".join(sentence.split()), sanitize_output.LONGEST))
    return ExampleDisplay(note=sanitize_output.line(same))


def of_drawn(pixels: NDArray[np.uint8], note: Any = UNSET) -> ExampleDisplay:
    """Bytes (H, W, C) as they are, grey or in colours."""
    return _picture(png.encode(pixels), (pixels.shape[1], pixels.shape[0]), note)


def _picture(content: bytes, size: tuple[int, int], note: Any = UNSET) -> ExampleDisplay:
    return ExampleDisplay(picture=base64.b64encode(content).decode("ascii"), size=list(size), note=note)


def _check_sides(width: int, height: int) -> None:
    short, long = sorted((width, height))
    if short < 1 or long > MOST_ASPECT * short:
        allowed = f"a longer side of at most {MOST_ASPECT} times the shorter one"
        raise NotShownError(f"a picture of {height:,}×{width:,} cannot be looked at; allowed: {allowed}")


def _array(value: Any) -> NDArray[Any]:
    """What show() returned as an array of numbers. Raises NotShownError where it is none."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # a Tensor with a gradient, a ragged list
        raise NotShownError(f"show() returned {type(value).__name__}: {error}; allowed: {ALLOWED}") from error
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3):
        said = type(value).__name__ if array.ndim == 0 else f"an array of {array.dtype} and shape {array.shape}"
        raise NotShownError(f"show() returned {said}; allowed: {ALLOWED}")
    return array


def _channels_last(array: NDArray[Any]) -> NDArray[Any] | None:
    """(H, W, C) with 1, 3 or 4 channels; None where there are others."""
    if array.ndim == 2:
        return array[:, :, None]
    if array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.shape[0] not in (1, 3, 4):
        return array
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return array.transpose(1, 2, 0)
    return None


def _span_of(array: NDArray[Any]) -> Span:
    return _span(array.dtype, *_ends(array))


def _ends(array: NDArray[Any]) -> Span:
    """The lowest and the highest finite value; 0 and 1 where there is none."""
    known = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _span(kind: np.dtype[Any], low: float, high: float) -> Span:
    """0…255 for bytes that use it, 0…1 for what lies there, else from the lowest value to the highest."""
    if kind == np.uint8 and high > 127:
        return BYTES
    if kind.kind == "b" or (kind.kind == "f" and low >= 0.0 and 0.5 < high <= 1.0):
        return 0.0, 1.0
    return (min(0.0, low), high) if kind.kind in "ui" else (low, high)


def _smaller(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """The mean over equal squares, so that no side is longer than `LONGEST_SIDE`."""
    height, width, channels = pixels.shape
    factor = -(-max(height, width) // LONGEST_SIDE)
    down, across = min(factor, height), min(factor, width)
    rows, columns = height // down, width // across
    cut = pixels[: rows * down, : columns * across]
    return np.asarray(cut.reshape(rows, down, columns, across, channels).mean(axis=(1, 3), dtype=np.float64))


def _cell(value: object) -> str:
    """A name or a value on one line."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    said = f"{value:.6g}" if isinstance(value, float) else str(value)
    return sanitize_output.line(said[:MOST_IN_CELL] + ("…" if len(said) > MOST_IN_CELL else ""))
