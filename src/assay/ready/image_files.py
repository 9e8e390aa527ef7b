"""Image files in a folder for each class: found, checked one by one, named where they cannot be taken. No torch.

Covers: what may lie in such a folder beside images, and images that are broken, cut off, too large or of a mode that
has no colours. Not covered: what a model sees of an image (`ready.image_folder`).
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.ready.pillow_package import Image, ImageOps, UnidentifiedImageError

#: endings of files that are taken for images; others are named and left out
ENDINGS = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
#: an image of more pixels is refused before it is decoded: a file of 100 kB can hold 10 GB of them
MOST_PIXELS = 50_000_000
#: names of classes and files in one sentence
NAMED = 3

HIDDEN, OTHER = "hidden files", "files that are no images by their ending"
OUTSIDE, UNREADABLE, HUGE, COLOURLESS = (
    "links that leave the folder",
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


@dataclass
class Found:
    """Files of images with the numbers of their classes, and what was left out, by reason."""

    classes: list[str]
    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, path: Path, said: str = "") -> None:
        self.left_out.setdefault(reason, []).append(f"{path.as_posix()}{f' ({said})' if said else ''}")

    @property
    def bad(self) -> int:
        """How many were meant as images and cannot be taken."""
        return sum(len(self.left_out.get(reason, ())) for reason in BAD)

    def sentences(self) -> Iterator[str]:
        """What was left out: how many, why, and the first."""
        for reason, names in self.left_out.items():
            yield f"left out: {len(names)} {reason}, the first {names[0]}"


def find(folder: Path, share: float) -> Found:
    """Images below `folder`, checked, in the order of their names; a class for each folder directly in it.

    Raises UsageError where more than `share` of the images cannot be taken, and for a class with fewer than two.
    """
    found = _listed(folder)
    _check(found)
    total = len(found.paths) + found.bad
    if found.bad > share * total:
        reason = next(reason for reason in BAD if reason in found.left_out)
        named = f"{found.left_out[reason][0]}: one of {len(found.left_out[reason])} {reason}"
        raise UsageError(
            f"{named}; {found.bad} of {total} images cannot be taken",
            allowed=f"a share of {share:g} (data.unreadable)",
            mend="mend or remove them, or raise data.unreadable in params.yaml",
        )
    _refuse_thin(found, folder)
    return found


def _listed(folder: Path) -> Found:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", mend="set data.folder in params.yaml")
    inside = sorted(folder.iterdir())
    classes = [path.name for path in inside if path.is_dir() and not path.name.startswith(".")]
    if len(classes) < 2:
        raise UsageError(
            f"{folder} has {len(classes)} folders of images", allowed="a folder for each class, two or more"
        )
    found = Found(classes)
    for path in inside:
        if path.is_file() or path.name.startswith("."):
            found.leave_out(HIDDEN if path.name.startswith(".") else OTHER, path)
    for label, name in enumerate(classes):
        for path in _below(folder / name):
            _sort(found, path, label, folder)
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Files in `folder` and its folders, in order; links to folders are not followed and come as they are."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if Path(above, name).is_symlink()]
        yield from (Path(above, name) for name in sorted([*names, *linked]))


def _sort(found: Found, path: Path, label: int, folder: Path) -> None:
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        found.leave_out(HIDDEN, path)
    elif path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        found.leave_out(OUTSIDE, path)
    elif path.suffix.lower() not in ENDINGS or path.is_dir():
        found.leave_out(OTHER, path)
    else:
        found.paths.append(path)
        found.labels.append(label)


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


def _refuse_thin(found: Found, folder: Path) -> None:
    counts = np.bincount(np.array(found.labels, dtype=np.int64), minlength=len(found.classes))
    for least, words in ((1, "no image"), (2, "a single image")):
        thin = [name for name, count in zip(found.classes, counts.tolist(), strict=True) if count < least]
        if thin:
            named = _some([str(folder / name) for name in thin])
            raise UsageError(
                f"{len(thin)} of {len(found.classes)} classes have {words}: {named}",
                allowed="two images or more in each: one to train on, one to be judged by",
                mend="add images, or remove the folders",
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def pixels(content: bytes, size: int | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) colours of an encoded image as a person sees it: turned as its EXIF entry says, the first of several.

    With `size`, the middle square of it at `size` × `size`. Raises BadImageError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadImageError(HUGE, f"{image.width} × {image.height}")
                turned = ImageOps.exif_transpose(_colours(image))
        except Image.DecompressionBombError as error:
            raise BadImageError(HUGE, str(error)) from error
        except (OSError, SyntaxError, ValueError, EOFError, TypeError, UnidentifiedImageError) as error:
            raise BadImageError(UNREADABLE, " ".join(str(error).split())[:80]) from error
    if size is not None:
        turned = ImageOps.fit(turned, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.uint8)


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
