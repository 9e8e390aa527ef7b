"""One example for a person: pictures without an image library, texts, rows; what is refused or cut, in a sentence."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from msgspec import UNSET
from PIL import Image

from assay.core.case_records import ExampleDisplay
from assay.data import example_display, png
from assay.data.example_display import NotShownError

CHANCE = np.random.default_rng(0)
NOISE = CHANCE.integers(0, 256, (88, 88, 3), dtype=np.uint8)


def pixels(display: ExampleDisplay) -> np.ndarray:
    """What a reader that is not ours sees in the picture."""
    assert isinstance(display.picture, str)
    with Image.open(io.BytesIO(base64.b64decode(display.picture))) as image:
        image.load()
        assert [image.width, image.height] == display.size
        return np.asarray(image)


@pytest.mark.parametrize("shape", [(8, 8), (8, 9, 1), (1, 8, 9), (9, 8, 3), (3, 9, 8), (8, 9, 4)])
def test_arrays_become_pictures_that_others_read(shape: tuple[int, ...]) -> None:
    array = CHANCE.integers(0, 256, shape, dtype=np.uint8)
    array.flat[:2] = 0, 255
    seen = pixels(example_display.of_input(array))
    expected = array.transpose(1, 2, 0) if shape[0] in (1, 3) else array
    assert np.array_equal(seen, expected.squeeze())


def test_values_that_are_not_finite_are_told() -> None:
    """Black could be a value; a picture of NaN alone looked like a dark one."""
    colours = np.full((8, 8, 3), np.nan)
    assert example_display.of_pixels(colours, (0.0, 1.0)).note == "192 values are not finite"
    grey = np.linspace(0, 16, 64).reshape(8, 8)
    grey[0, 0] = np.inf
    assert example_display.of_pixels(grey[:, :, None], (0.0, 16.0)).note == "black 0, white 16; 1 value is not finite"


def test_values_are_stretched_and_the_ends_are_told() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17  # as the digits are
    shown = example_display.of_input(grey)
    assert shown.note == "black 0, white 16" and pixels(shown).max() == 255
    assert example_display.of_input(grey / 16).note is UNSET
    dark = example_display.of_input(grey // 4, example_display.common_span([grey, grey // 4]))
    assert pixels(dark).max() == 64, "not brighter than another by itself"
    holes = np.full((5, 5), np.nan)
    holes[0] = [0, 1, 2, np.inf, -np.inf]
    assert pixels(example_display.of_shown(holes))[0].tolist() == [0, 128, 255, 255, 0]


def test_large_ones_become_small_by_the_mean_and_none_takes_more_than_a_fortieth() -> None:
    big = np.zeros((880, 440, 3), dtype=np.uint8)
    big[::2] = 255
    shown = example_display.of_shown(big)
    assert shown.size == [44, 88] and set(pixels(shown).ravel()) == {128}
    assert len(base64.b64decode(str(example_display.of_shown(NOISE).picture))) < 24_000


def test_the_same_pixels_give_the_same_bytes() -> None:
    assert png.encode(NOISE) == png.encode(NOISE.copy())


def test_a_picture_of_pillow_and_png_bytes_are_taken() -> None:
    table = Image.fromarray(NOISE[:20, :20]).convert("P")
    assert np.array_equal(pixels(example_display.of_shown(table)), np.asarray(table.convert("RGB")))
    stream = io.BytesIO()
    Image.fromarray(NOISE[:20, :20]).save(stream, "PNG")
    shown = example_display.of_shown(stream.getvalue())
    assert base64.b64decode(str(shown.picture)) == stream.getvalue() and shown.size == [20, 20]


def _claims(width: int, height: int) -> bytes:
    """A small PNG that says it is large."""
    made = png.encode(np.zeros((4, 4, 1), dtype=np.uint8))
    header = b"IHDR" + struct.pack(">II", width, height) + made[24:29]
    return made[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + made[33:]


REFUSED = {
    "a line": (np.zeros((1, 10_000)), "a picture of 1×10,000 cannot be looked at"),
    "nothing": (np.zeros((0, 5)), "a picture of 0×5 cannot be looked at"),
    "a vector": (np.zeros(5), "an array of float64 and shape (5,)"),
    "two channels": (np.zeros((8, 8, 2)), "an array of shape (8, 8, 2) is no picture"),
    "words": (np.array([["a"]]), "an array of <U1 and shape (1, 1)"),
    "a number": (3, "show() returned int"),
    "None": (None, "show() returned NoneType"),
    "an object": (object(), "show() returned object"),
    "ragged": ([[1, 2], [3]], "show() returned list"),
    "no PNG": (b"GIF89a", "6 bytes that are no whole PNG"),
    "cut off": (png.encode(NOISE)[:-30], "that are no whole PNG"),
    "damaged": (png.encode(NOISE)[:60] + b"x" + png.encode(NOISE)[61:], "that are no whole PNG"),
    "a bomb": (_claims(60_000, 60_000), "a PNG of 60000×60000"),
    "a line as PNG": (_claims(10_000, 1), "a picture of 1×10,000 cannot be looked at"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_a_sentence(name: str) -> None:
    value, said = REFUSED[name]
    with pytest.raises(NotShownError) as error:
        example_display.of_shown(value)
    assert said in str(error.value)


def test_long_texts_rows_and_numbers_are_cut_and_say_so() -> None:
    text = example_display.of_shown("x" * 2**20)
    assert len(str(text.text)) == 1_000 and text.note == "cut: 1,048,576 characters"
    row = example_display.of_input({f"c{n}": n / 3 for n in range(80)} | {"c1": None, "c2": b"abc", "c3": "y" * 500})
    assert isinstance(row.row, list) and len(row.row) == 50 and row.note == "cut: 80 columns"
    assert row.row[:3] == [["c0", "0"], ["c1", ""], ["c2", "3 bytes"]] and len(row.row[3][1]) == 101
    series = example_display.of_input(np.linspace(0, 1, 5000).reshape(-1, 1), kind="series")
    assert len(str(series.text)) <= 1_000 and series.note == "cut: 5,000 numbers, 5000×1"
    assert example_display.of_input(np.array([3, 1, 2]), kind="tokens").text == "3 1 2"
    assert example_display.of_input(np.float32(1.5)).text == "1.5"
    assert example_display.of_input(np.array([1 + 2j])).text == "(1+2j)"


def test_no_text_commands_a_terminal_and_no_address_differs() -> None:
    assert example_display.of_text("a\x1b[31m\u202eb\nc").text == "a [31m b\nc"
    said = example_display.not_shown("failed: <object at 0x7f00aa112233>\n  twice")
    assert said.note == "failed: <object at 0x…> twice"
