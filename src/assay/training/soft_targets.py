"""Soft targets: a teacher's probabilities in place of class numbers (Hinton et al. 2015, at temperature 1).

Covers: what an example's target then is. Not covered: the file (`data.teacher_file`), and whether the loss takes
probabilities (`training.model_init`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from assay.core.errors import UsageError
from assay.core.params_yaml import Train
from assay.core.short_repr import listed
from assay.data import teacher_file
from assay.data.storage import Examples

#: ids that an error names at most
LISTED = 3


def read(root: Path, settings: Train, train: Examples, dtype: torch.dtype) -> Tensor | None:
    """(N, K) targets of the examples that train: `soft_share` of the teacher's, the rest their own; None if off.

    Raises UsageError for a file that is none, or that is not of these examples and classes.
    """
    said = settings.soft_targets
    if not said:
        return None
    if train.classes is None or train.several is not None or train.targets.ndim != 1:
        raise UsageError(
            f"train.soft_targets is {said}, and the targets are not one class an example",
            hint="remove train.soft_targets in params.yaml",
        )
    known, probabilities = teacher_file.read(root / said, said)
    if probabilities.shape[1:] != (len(train.classes),):
        raise teacher_file.refuse(said, f"has {probabilities.shape} probabilities", f"{len(train.classes)} an example")
    rows = {name: row for row, name in enumerate(known)}
    missing = [name for name in train.ids.tolist() if name not in rows]
    if missing:
        problem = f"lacks {len(missing)} of {len(train)} training examples: {listed(missing, LISTED)}"
        raise teacher_file.refuse(said, problem)
    soft = torch.from_numpy(probabilities[[rows[name] for name in train.ids.tolist()]]).to(dtype)
    hard = functional.one_hot(torch.from_numpy(train.targets).long(), len(train.classes)).to(dtype)
    return settings.soft_share * soft + (1 - settings.soft_share) * hard
