"""Image files in a folder for each class: found, checked one by one, named where they cannot be taken. No torch.

Covers: images that are broken, cut off, too large or of a mode that has no colours. Not covered: what else may lie in
such a folder (`ready.class_folders`), what a model sees of an image (`ready.image_folder`).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.ready import class_folders
from assay.ready.class_folders import OUTSIDE, Found
from assay.ready.pillow_package import Image, ImageOps, UnidentifiedImageError

#: endings of files that are taken for images; others are named and left out
ENDINGS = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
#: an image of more pixels is refused before it is decoded: a file of 100 kB can hold 10 GB of them
MOST_PIXELS = 50_000_000

UNREADABLE, HUGE, COLOURLESS = (
    "images that are broken or cut off",
    f"images of more than {MOST_PIXELS:,} pixels",
    "images of a mode that has no colours",
)
#: what a person put there as an image: counted against the share that may be left out
BAD = (OUTSIDE, UNREADABLE, HUGE, COLOURLESS)


class BadImageError(Exception):
    """An image that cannot be taken; `reason` is one of BAD."""

    def __init__(self, reason: str, said: str) -> None:
        super().__init__(said)
        self.reason = reason


def find(folder: Path, share: float) -> Found:
    """Images below `folder`, checked, in the order of their names; a class for each folder directly in it.

    Raises UsageError where more than `share` of the images cannot be taken, and for a class with fewer than two.
    """
    found = class_folders.listed(folder, ENDINGS, "images")
    _check(found)
    bad = sum(len(found.left_out.get(reason, ())) for reason in BAD)
    total = len(found.paths) + bad
    if bad > share * total:
        reason = next(reason for reason in BAD if reason in found.left_out)
        named = f"{found.left_out[reason][0]}: one of {len(found.left_out[reason])} {reason}"
        raise UsageError(
            f"{named}; {bad} of {total} images cannot be taken",
            allowed=f"a share of {share:g} (data.unreadable)",
            hint="correct or remove them, or raise data.unreadable in params.yaml",
        )
    class_folders.refuse_thin(found, folder, "image")
    return found


def _check(found: Found) -> None:
    """Decode each image once, so that the last stage meets no broken one."""
    paths, labels = [], []
    for path, label in zip(found.paths, found.labels, strict=True):
        try:
            pixels(path.read_bytes())
        except BadImageError as error:
            found.leave_out(error.reason, path, str(error))
        except OSError as error:
            found.leave_out(UNREADABLE, path, str(error.strerror))
        else:
            paths.append(path)
            labels.append(label)
    found.paths, found.labels = paths, labels


def pixels(content: bytes, size: int | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) colours of an encoded image as a person sees it: turned as its EXIF entry says, the first of several.

    With `size`, the middle square of it at `size` × `size`. Raises BadImageError.
    """
    turned = opened(content, lambda image: ImageOps.exif_transpose(_colours(image)))
    if size is not None:
        turned = ImageOps.fit(turned, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.uint8)


def thumbnail(content: bytes, longest: int) -> NDArray[np.uint8]:
    """(H, W, 3) colours of an encoded image as a person sees it, no side above `longest`. Raises BadImageError."""
    turned = opened(content, lambda image: ImageOps.exif_transpose(_colours(image)))
    turned.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.uint8)


def opened(content: bytes, use: Callable[[Any], Any]) -> Any:
    """What `use` makes of an encoded image. Raises BadImageError for one that is broken, cut off or too large."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadImageError(HUGE, f"{image.width} × {image.height}")
                return use(image)
        except Image.DecompressionBombError as error:
            raise BadImageError(HUGE, str(error)) from error
        except UnidentifiedImageError as error:  # whose own words hold an address in memory
            raise BadImageError(UNREADABLE, "no image that Pillow knows") from error
        except (OSError, SyntaxError, ValueError, EOFError, TypeError) as error:
            raise BadImageError(UNREADABLE, " ".join(str(error).split())[:80]) from error


def _colours(image: Any) -> Any:
    """`image` in red, green and blue, whatever its mode; what is transparent becomes white."""
    image.load()
    exif = image.getexif()
    if image.mode.startswith("I;16"):
        made = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    elif image.mode in ("I", "F"):
        raise BadImageError(COLOURLESS, f"mode {image.mode}")
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        made = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    else:
        made = image.convert("RGB")
    made.info["exif"] = exif.tobytes()
    return made
