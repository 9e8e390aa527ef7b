"""A ready task: images in a folder for each class.

    from assay.ready.image_folder import augment, decode, loss, model, prepare, preprocess, statistics

in task.py, with `metric.name: accuracy`; whatever is written there under one of these names stands instead. `data:` in
params.yaml has `folder`, and `size`, to which images are brought, `model:` has `width`. Images are kept as they are,
decoded once into a cache, and named where they cannot be taken.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from assay.core.errors import UsageError
from assay.ready import image_files

__all__ = ["augment", "decode", "loss", "model", "prepare", "preprocess", "statistics"]

#: images that statistics() looks at together
PIECE = 1024


def prepare(*, folder: str, size: int = 64, unreadable: float = 0.01) -> dict[str, Any]:
    """References to the images below `folder`, seen from the folder of dvc.yaml; classes are its folders, by name.

    Up to a share of `unreadable` of them may be broken, huge or links to elsewhere: these are left out, counted and the
    first is named. Raises UsageError above that, and for a class with fewer than two images.
    """
    found = image_files.find(Path(folder), unreadable)
    for sentence in found.sentences():
        sys.stdout.write(f"prepare: {sentence}\n")
    return {
        "inputs": found.paths,
        "targets": found.labels,
        "classes": found.classes,
        "decode": {"size": size},
    }


def decode(example: Any, *, size: int = 64) -> Tensor:
    """(3, size, size) bytes of an encoded image: turned as its EXIF entry says, its middle square, in colours."""
    try:
        return torch.from_numpy(image_files.pixels(example.content, size).copy()).permute(2, 0, 1)
    except image_files.BadImageError as error:
        raise UsageError(f"{example.path} cannot be decoded: {error}", hint="dvc repro -f prepare") from error


def statistics(inputs: Tensor) -> dict[str, Tensor]:
    """Mean and standard deviation (3, 1, 1) of each colour in the training part, looked at piece by piece."""
    total, squares = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for piece in torch.split(inputs, PIECE):
        numbers = piece.double() / 255
        total += numbers.sum((0, 2, 3))
        squares += numbers.square().sum((0, 2, 3))
    count = inputs.numel() / 3
    mean = total / count
    spread = (squares / count - mean.square()).clamp(min=1e-6).sqrt()
    return {"mean": mean.float().view(3, 1, 1), "sd": spread.float().view(3, 1, 1)}


def preprocess(inputs: Tensor, statistics: dict[str, Tensor]) -> Tensor:
    """Bytes → numbers around 0."""
    return (inputs.float() / 255 - statistics["mean"]) / statistics["sd"]


def augment(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the images, shift all by up to an eighth. Write your own where left and right have a meaning."""
    count, height, width = len(inputs), inputs.shape[-2], inputs.shape[-1]
    place = inputs.device
    mirrored = torch.rand(count, generator=generator, device=place) < 0.5
    reach = max(1, height // 8)
    shifts = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator, device=place)
    rows = (torch.arange(height, device=place) + shifts[0]).clamp(0, height - 1)
    columns = torch.arange(width, device=place).expand(count, width)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    columns = (columns + shifts[1]).clamp(0, width - 1)
    image = torch.arange(count, device=place)[:, None, None]
    return inputs.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2), targets


def model(shape: tuple[int, ...], outputs: int, *, width: int = 32) -> nn.Module:
    """Four convolutions, each with half of the rows and columns and, but for the first, twice the channels."""
    layers: list[nn.Module] = []
    before, after = shape[0], width
    for _ in range(4):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        before, after = after, after * 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over the batch, in nats."""
    return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
