"""Arrays in .npy files that somebody else may have written: the header is held against the size first.

Covers: other formats under this name (a zip file, a pickle), shapes that no file holds, arrays without rows. Not
covered: what an array means.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.schemas import DAMAGE

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read(path: Path, mend: str = "") -> NDArray[Any]:
    """The array (N, …) in the file at `path`. Raises UsageError naming it where there is none."""
    try:
        with path.open("rb") as stream:
            return _array(stream, path.stat().st_size)
    except (OSError, *BROKEN) as error:
        raise UsageError(f"{path} cannot be read ({error})", mend=mend) from error


def parse(content: bytes) -> NDArray[Any]:
    """The array (N, …) in the content of a file. Raises what `BROKEN` lists."""
    return _array(io.BytesIO(content), len(content))


#: what `parse` raises
BROKEN = (*DAMAGE, EOFError, SyntaxError, TokenError, TypeError, MemoryError)


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not known")
    shape, _, dtype = _HEADERS[version](stream)
    if not shape or dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError(f"it holds {dtype} of shape {shape}")
    told = math.prod(shape) * dtype.itemsize
    if told != size - stream.tell():
        raise ValueError(f"its header tells of {told} bytes, there are {size - stream.tell()}")
    stream.seek(0)
    return np.asarray(npy.read_array(stream, allow_pickle=False))
