"""A ready task: images and a mask of each, a class for every pixel.

    from assay.ready.masks import augment, loss, model, predict, prepare, preprocess

in task.py, with `metric.name: iou`; whatever is written there under one of these names stands instead. `data:` in
params.yaml has the folders `images` and `masks`, whose files go together by their names without the ending, `size`, to
which both are brought, and `classes`; `model:` has `width`. A pixel of a mask holds the number of its class. Without
`classes` these are the values that the masks hold, such as 0 and 255.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.ready import class_folders, image_files
from assay.ready import pillow_package as pillow
from assay.ready.image_files import ENDINGS, BadImageError

#: different values in masks up to which each is a class
MOST_VALUES = 64


def prepare(
    *, images: str, masks: str, classes: list[str] | None = None, size: int = 64, unreadable: float = 0.01
) -> dict[str, Any]:
    """Images (N, 3, size, size) of bytes and masks (N, size, size) of class numbers.

    Up to a share of `unreadable` of the pairs may be broken, huge, links to elsewhere, or lack one of both: these are
    left out, counted, and the first is named. Raises UsageError above that.
    """
    first, second = _files(Path(images)), _files(Path(masks))
    names = sorted(first.keys() | second.keys())
    bad, pixels, labels = [], [], []
    for name in names:
        try:
            image = _one(first, name, "image", Path(images))
            mask = _one(second, name, "mask", Path(masks))
            pixels.append(_image(image, size))
            labels.append(_mask(mask, size, classes))
        except (OSError, ValueError, BadImageError) as error:
            del pixels[len(labels) :]
            bad.append(f"{name}: {error}")
    if bad and (not labels or len(bad) > unreadable * len(names)):
        raise UsageError(
            f"{len(bad)} of {len(names)} pairs of images and masks cannot be used, the first {bad[0]}",
            allowed=f"a share of at most {unreadable:g} (data.unreadable)",
            hint="correct or remove them",
        )
    if bad:
        sys.stdout.write(f"prepare: {len(bad)} of {len(names)} pairs are left out, the first {bad[0]}\n")
    targets = np.stack(labels).astype(np.int64)
    if classes is None:
        classes, targets = _by_value(targets, masks)
    return {"inputs": np.stack(pixels), "targets": targets, "classes": list(classes)}


def _by_value(masks: NDArray[np.int64], folder: str) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the values that are there, and the number of each pixel's."""
    values, numbers = np.unique(masks, return_inverse=True)
    if not 2 <= len(values) <= MOST_VALUES:
        raise UsageError(
            f"the masks in {folder} hold {len(values)} different values",
            allowed=f"2 to {MOST_VALUES}, one for each class; JPEG and smoothed borders make more",
            hint="write them as PNG files of class numbers, and name these in data.classes",
        )
    return [str(value) for value in values.tolist()], numbers.reshape(masks.shape).astype(np.int64)


def _one(files: dict[str, Path], name: str, what: str, folder: Path) -> Path:
    if name not in files:
        raise ValueError(f"no {what} of this name")
    if class_folders.leaves(files[name], folder):
        raise ValueError(f"the {what} is a link that leaves the folder")
    return files[name]


def _files(folder: Path) -> dict[str, Path]:
    """Name without its ending → file; hidden files do not count."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r}", hint="set data.images and data.masks in params.yaml")
    found: dict[str, Path] = {}
    for path in sorted(class_folders.below(folder)):
        if path.suffix.lower() in ENDINGS and not path.is_dir() and not class_folders.is_hidden(path, folder):
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise UsageError(f"{path} and {found[name]} have one name", allowed="one file of each name")
            found[name] = path
    if not found:
        raise UsageError(f"{str(folder)!r} holds no images", allowed=", ".join(sorted(ENDINGS)))
    return found


def _image(path: Path, size: int) -> NDArray[np.uint8]:
    """(3, size, size) bytes, turned as its EXIF entry says."""
    colours = pillow.Image.fromarray(image_files.pixels(path.read_bytes()))
    return np.asarray(colours.resize((size, size)), dtype=np.uint8).transpose(2, 0, 1)


def _mask(path: Path, size: int, classes: list[str] | None) -> NDArray[np.int64]:
    """(size, size) class numbers; resized by the nearest pixel, as a class between two would be a third one."""

    def numbers(image: Any) -> Any:
        plain = image if image.mode in ("L", "P", "I", "1") or image.mode.startswith("I;16") else image.convert("L")
        turned = pillow.ImageOps.exif_transpose(plain)
        return np.asarray(turned.resize((size, size), pillow.Image.Resampling.NEAREST)).astype(np.int64)

    found: NDArray[np.int64] = image_files.opened(path.read_bytes(), numbers)
    if classes is not None and (found.min() < 0 or found.max() >= len(classes)):
        raise ValueError(f"the mask has the value {found.max()}, and there are {len(classes)} classes, numbered from 0")
    return found


def model(shape: tuple[int, ...], outputs: int, *, width: int = 16) -> nn.Module:
    """Five convolutions, the middle ones looking further apart; as many rows and columns come out as go in."""
    layers: list[nn.Module] = []
    before = shape[0]
    for reach in (1, 2, 4, 1):
        layers += [nn.Conv2d(before, width, 3, padding=reach, dilation=reach), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, 1))


def preprocess(inputs: Tensor) -> Tensor:
    """Bytes → numbers around 0."""
    return inputs.float() / 127.5 - 1


def augment(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the images, and their masks with them."""
    mirrored = torch.rand(len(inputs), generator=generator, device=inputs.device) < 0.5
    image, mask = mirrored.view(-1, 1, 1, 1), mirrored.view(-1, 1, 1)
    return torch.where(image, inputs.flip(-1), inputs), torch.where(mask, targets.flip(-1), targets)


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over all pixels (B, H, W) from logits (B, C, H, W), in nats."""
    return -outputs.log_softmax(1).gather(1, targets.unsqueeze(1)).mean()


def predict(outputs: Tensor) -> Tensor:
    """The most probable class of each pixel (N, H, W)."""
    return outputs.argmax(1)
