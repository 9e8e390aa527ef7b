"""Image files as small pictures. Imported only where files are at hand: it needs Pillow."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from assay.data_trust.image_thumbnails import smaller
from assay.ready.pillow_package import Image, UnidentifiedImageError


def of_file(content: bytes) -> NDArray[np.float32]:
    """An image file as means over 12 × 12 squares in three colours. Raises OSError for what is none."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (48, 48))  # a JPEG is opened at a fraction of its size
            small = image.convert("RGB").resize((48, 48), Image.Resampling.BOX)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise OSError(str(error)) from error
    return smaller(np.asarray(small, dtype=np.float32))
