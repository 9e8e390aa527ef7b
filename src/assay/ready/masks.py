"""A ready task: images and a mask of each, a class for every pixel.

    from assay.ready.masks import augment, loss, model, predict, prepare, preprocess

in task.py, with `metric.name: iou`; whatever is written there under one of these names stands instead. `data:` in
params.yaml has the folders `images` and `masks`, whose files go together by their names without the ending, `size`, to
which both are brought, and `classes`; `model:` has `width`. A pixel of a mask holds the number of its class.
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
from assay.ready import pillow_package as pillow

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def prepare(*, images: str, masks: str, classes: list[str], size: int = 64, unreadable: float = 0.01) -> dict[str, Any]:
    """Images (N, 3, size, size) of bytes and masks (N, size, size) of class numbers.

    Up to a share of `unreadable` of the pairs may be broken, or lack one of both: these are left out, counted, and the
    first is named. Raises UsageError above that.
    """
    first, second = _files(Path(images)), _files(Path(masks))
    bad = [
        f"{name}: no {'mask' if name in first else 'image'} of this name"
        for name in sorted(first.keys() ^ second.keys())
    ]
    pixels, labels = [], []
    for name in sorted(first.keys() & second.keys()):
        try:
            pixels.append(_image(first[name], size))
            labels.append(_mask(second[name], size, len(classes)))
        except (OSError, ValueError, SyntaxError) as error:
            del pixels[len(labels) :]
            bad.append(f"{name}: {error}")
    total = len(first.keys() | second.keys())
    if bad and (not labels or len(bad) > unreadable * total):
        raise UsageError(
            f"{len(bad)} of {total} pairs of images and masks cannot be used, the first {bad[0]}",
            allowed=f"a share of at most {unreadable:g} (data.unreadable)",
            mend="mend or remove them",
        )
    if bad:
        sys.stdout.write(f"prepare: {len(bad)} of {total} pairs are left out, the first {bad[0]}\n")
    return {"inputs": np.stack(pixels), "targets": np.stack(labels).astype(np.int64), "classes": list(classes)}


def _files(folder: Path) -> dict[str, Path]:
    """Name without its ending → file; hidden files do not count."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {str(folder)!r}", mend="set data.images and data.masks in params.yaml")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in ENDINGS and not path.name.startswith("."):
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise UsageError(f"{path} and {found[name]} have one name", allowed="one file of each name")
            found[name] = path
    if not found:
        raise UsageError(f"{str(folder)!r} holds no images", allowed=", ".join(ENDINGS))
    return found


def _image(path: Path, size: int) -> NDArray[np.uint8]:
    """(3, size, size) bytes, turned as its EXIF entry says."""
    with pillow.Image.open(path) as opened:
        turned = pillow.ImageOps.exif_transpose(opened).convert("RGB")
        return np.asarray(turned.resize((size, size)), dtype=np.uint8).transpose(2, 0, 1)


def _mask(path: Path, size: int, classes: int) -> NDArray[np.uint8]:
    """(size, size) class numbers; resized by the nearest pixel, as a class between two would be a third one."""
    with pillow.Image.open(path) as opened:
        plain = opened if opened.mode in ("L", "P", "I", "1") else opened.convert("L")
        found = np.asarray(plain.resize((size, size), pillow.Image.Resampling.NEAREST)).astype(np.int64)
    if found.min() < 0 or found.max() >= classes:
        raise ValueError(f"the mask has the value {found.max()}, and there are {classes} classes, numbered from 0")
    return found.astype(np.uint8)


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
