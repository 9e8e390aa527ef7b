"""Arrays in .npy files that somebody else may have written: the header is held against the size first.

Covers: other formats under this name (a zip file, a pickle), shapes that no file holds, arrays without rows. Not
covered: what an array means.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


#: bytes from which an array may be mapped rather than read
LARGE = 32 * 2**20


def read(path: Path, hint: str = "", *, mapped: bool = False) -> NDArray[Any]:
    """The array (N, …) in the file at `path`. Raises UsageError naming it where there is none.

    With `mapped` a large one takes memory of the page cache alone; what is written into it stays in this process.
    """
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            return _map(stream, size) if mapped and size >= LARGE else _array(stream, size)
    except (OSError, *BROKEN) as error:
        raise UsageError(f"{path} cannot be read ({error})", hint=hint) from error


def parse(content: bytes) -> NDArray[Any]:
    """The array (N, …) in the content of a file. Raises what `BROKEN` lists."""
    return _array(io.BytesIO(content), len(content))


#: what `parse` raises
BROKEN = (*DAMAGE, EOFError, SyntaxError, TokenError, TypeError, MemoryError)


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    _header(stream, size)
    stream.seek(0)
    return np.asarray(npy.read_array(stream, allow_pickle=False))


def _map(stream: IO[bytes], size: int) -> NDArray[Any]:
    shape, fortran, dtype = _header(stream, size)
    order: Literal["F", "C"] = "F" if fortran else "C"
    found = np.memmap(stream, dtype=dtype, mode="c", offset=stream.tell(), shape=shape, order=order)
    return np.asarray(found)


def _header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns lie together, and type, held against the size of the file."""
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not known")
    shape, fortran, dtype = _HEADERS[version](stream)
    if not shape or dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError(f"it holds {dtype} of shape {shape}")
    told = math.prod(shape) * dtype.itemsize
    if told != size - stream.tell():
        raise ValueError(f"its header says {told} bytes, the file has {size - stream.tell()}")
    return shape, fortran, dtype
