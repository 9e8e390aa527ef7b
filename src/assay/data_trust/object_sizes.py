"""How large the objects of masks are: connected areas of a class, in pixels and in shares of the picture.

A model that cannot see objects of a few pixels is no worse for it than its pictures are. Class 0 is taken for the
background, -1 is padding. Not covered: boxes, which no target of ours holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from assay.data_trust.examples_of_all_parts import PartedExamples

#: share of a picture below which an object is small (COCO: 32² of about 640 × 480 pixels, Lin et al. 2014)
SMALL = 1024 / (640 * 480)
#: examples of a part that are looked at: each of its masks is labelled by itself
MOST = 20_000


@dataclass(frozen=True)
class ObjectSizes:
    """Of one class in one part. Areas in pixels."""

    objects: int
    smallest: int
    median: float
    largest: int
    small: float  # share of objects below SMALL of the picture
    examined: int  # masks


def find(examples: PartedExamples) -> dict[str, dict[str, ObjectSizes]]:
    """Class → part → its objects; nothing where targets are no masks (N, H, W) of classes."""
    first = next(iter(examples.parts.values()))
    if examples.classes is None or first.targets.ndim != 3 or first.several is not None:
        return {}
    found: dict[str, dict[str, ObjectSizes]] = {name: {} for name in examples.classes[1:]}
    for name, part in examples.parts.items():
        few = min(len(part), MOST)
        rows = np.sort(np.random.default_rng(0).choice(len(part), few, replace=False))
        areas: list[list[NDArray[np.int64]]] = [[] for _ in examples.classes]
        for row in rows.tolist():
            mask = part.targets[row]
            for label in np.unique(mask[mask > 0]).astype(int).tolist():
                marked, _ = ndimage.label(mask == label)
                areas[label].append(np.bincount(marked.ravel())[1:])
        pixels = int(np.prod(part.targets.shape[1:]))
        for label, lists in enumerate(areas[1:], start=1):
            if lists:
                found[examples.classes[label]][name] = _sizes(np.concatenate(lists), pixels, few)
    return {name: parts for name, parts in found.items() if parts}


def _sizes(areas: NDArray[np.int64], pixels: int, examined: int) -> ObjectSizes:
    small = float((areas < SMALL * pixels).mean())
    return ObjectSizes(len(areas), int(areas.min()), float(np.median(areas)), int(areas.max()), small, examined)
