"""Which part each example goes into: by its content, its place, or its time, as params.yaml and prepare() say.

Covers: choosing the rule. Not covered: the rules (`data.train_test_split`, `data.contiguous_split`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.params_yaml import Split
from assay.data import contiguous_split, train_test_split
from assay.data.storage import Examples
from assay.runtime.example_ids import Keys


class PartAssignment(NamedTuple):
    """`by` is content, order or time; `where` (N,) the part of each example."""

    by: str
    where: NDArray[np.str_]


def assign(examples: Examples, asked: Split, keys: Keys | None = None) -> PartAssignment:
    """Raises UsageError for a rule that these examples cannot be split by. `keys` (N,) are those of the inputs."""
    by = contiguous_split.way(examples, asked)
    if by != "content":
        return PartAssignment(by, contiguous_split.assign(examples, asked, by))
    for name in ("gap", "blocks"):
        if getattr(asked, name) is not UNSET:
            raise UsageError(
                f"split.{name} is {getattr(asked, name)}, and examples are split by their content",
                hint="set split.by: order, or time, in params.yaml, or remove the key",
            )
    return PartAssignment(by, train_test_split.assign(examples, asked.validation, asked.test, keys))
