"""Targets of a few examples in words: names of classes, shares of them, values."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: characters of one label
LONGEST = 60
#: numbers of a target that has many
MOST_NUMBERS = 8
#: least share of a class in a mixed target that is told
LEAST_SHARE = 0.005


def labels(targets: Tensor, classes: Sequence[str] | None) -> list[str]:
    """The label of each row of `targets` (B, …): class numbers, probabilities (B, K) of mixed ones, or values."""
    return [_label(row.detach().cpu(), classes) for row in targets]


def name(number: int, classes: Sequence[str] | None) -> str:
    """The name of a class, cut where it is long; its number where there is none."""
    known = classes is not None and 0 <= number < len(classes)
    said = str(classes[number]) if known and classes is not None else str(number)
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _label(row: Tensor, classes: Sequence[str] | None) -> str:
    if row.ndim == 0:
        return name(int(row), classes) if classes is not None else f"{float(row):.4g}"
    if classes is not None and row.is_floating_point() and row.shape == (len(classes),):
        return _shares(row, classes)
    flat = row.reshape(-1)
    few = [
        name(int(one), classes) if classes is not None and not row.is_floating_point() else f"{float(one):.4g}"
        for one in flat[:MOST_NUMBERS]
    ]
    return f"{' '.join(few)}{' …' if len(flat) > MOST_NUMBERS else ''}"


def _shares(row: Tensor, classes: Sequence[str]) -> str:
    """A class of one, or the two largest shares of a mixed one."""
    shares, numbers = torch.sort(row, descending=True, stable=True)
    told = [(float(share), int(number)) for share, number in zip(shares[:2], numbers[:2], strict=True)]
    if told[0][0] >= 1 - LEAST_SHARE:
        return name(told[0][1], classes)
    return ", ".join(f"{share:.0%} {name(number, classes)}" for share, number in told if share >= LEAST_SHARE)
