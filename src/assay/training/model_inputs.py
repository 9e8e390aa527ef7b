"""What a model is given, batch by batch: inputs that are too many to be preprocessed all at once.

Covers: a mapped tensor whose batches are preprocessed when they are asked for. Not covered: the order of batches
(`training.batches`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from assay.training.task_interface import Task

#: rows of inputs, as a slice, (B,), or (lanes, B)
Rows: TypeAlias = slice | Tensor


@dataclass(frozen=True)
class Preprocessing:
    """A task's `preprocess()` with what its `statistics()` found in the training part, in the precision of training."""

    task: Task
    statistics: tuple[dict[str, Tensor], ...]  # one, or none where the task has none
    dtype: torch.dtype

    def __call__(self, inputs: Tensor) -> Tensor:
        """Raw inputs (B, …) → inputs (B, …) of the model."""
        made: Any = inputs
        if self.task.preprocess is not None:
            made = self.task.call("preprocess", inputs, *self.statistics)
        if not isinstance(made, Tensor) or len(made) != len(inputs):
            shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            problem = f"preprocess() returns {shape} for {len(inputs)} examples"
            raise self.task.refuse(problem, "a Tensor with a row for each")
        return cast(made, self.dtype)


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """`tensor` in this precision; complex numbers stay complex, whole ones whole."""
    if tensor.is_complex():
        return tensor.to(dtype.to_complex())
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


@dataclass(frozen=True)
class MappedInputs:
    """N examples as they were prepared; a batch is preprocessed when it is taken."""

    raw: Tensor  # (N, …)
    ready: Preprocessing

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, rows: Rows) -> Tensor:
        """(B, …) or (lanes, B, …) inputs of the model."""
        chosen = self.raw[rows]
        if isinstance(rows, slice) or rows.ndim == 1:
            return self.ready(chosen)
        made = self.ready(chosen.flatten(0, rows.ndim - 1))
        return made.reshape(*rows.shape, *made.shape[1:])

    @property
    def shape(self) -> torch.Size:
        """Of all inputs, preprocessed."""
        return torch.Size([len(self.raw), *self[:1].shape[1:]])


#: inputs (N, …) of the model, taken by `inputs[rows]`
Inputs: TypeAlias = Tensor | MappedInputs


def size(inputs: Inputs) -> int:
    """Bytes of all inputs, as the model gets them."""
    one = inputs[:1]
    return one.numel() * one.element_size() * len(inputs)
