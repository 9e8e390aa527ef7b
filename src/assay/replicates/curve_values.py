"""Values of a curve as JSON keeps them: a number that is not finite is none there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from assay.replicates.replicate_result import Point, epoch_number


def of_point(point: Point) -> dict[str, float | None]:
    """What was said of an epoch; a number that is not finite is none in JSON."""
    named = {
        "train": point.train,
        "validation": point.validation,
        **{f".{name}": one for name, one in point.more.items()},
    }
    return {name: value if math.isfinite(value) else None for name, value in named.items()}


def point(epoch: float, kept: Mapping[str, float | None]) -> Point:
    """The inverse of `of_point`."""
    values = {name: float("nan") if value is None else value for name, value in kept.items()}
    more = {name.removeprefix("."): value for name, value in values.items() if name.startswith(".")}
    return Point(epoch_number(epoch), values["train"], values["validation"], more)


def losses(kept: Sequence[float | None]) -> list[float]:
    return [float("nan") if loss is None else loss for loss in kept]
