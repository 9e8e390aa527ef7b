"""What a model is given, batch by batch: inputs that are too many to be preprocessed all at once.

Covers: a mapped tensor whose batches are preprocessed when they are asked for. Not covered: the order of batches
(`training.batches`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from assay.training import example_batch
from assay.training.example_batch import Batch
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
        made = self.applied(inputs)
        if not isinstance(made, Tensor) or len(made) != len(inputs):
            shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            problem = f"preprocess() returns {shape} for {len(inputs)} examples"
            raise self.task.refuse(problem, "a Tensor with a row for each")
        return cast(made, self.dtype)

    def applied(self, inputs: Any) -> Any:
        """What `preprocess()` makes of a batch, a dict included."""
        return inputs if self.task.preprocess is None else self.task.call("preprocess", inputs, *self.statistics)


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


@dataclass(frozen=True)
class CollatedInputs:
    """N examples of unequal shapes; `collate()` makes a batch of those that are taken, in their order."""

    examples: Any  # DecodedExamples, or a Tensor (N, …)
    ready: Preprocessing

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, rows: Rows) -> Batch:
        """Inputs of the model for a slice or (B,) rows."""
        wanted = range(len(self))[rows] if isinstance(rows, slice) else rows.tolist()
        return self.batch([self.examples[row] for row in wanted])

    def batch(self, examples: list[Any]) -> Batch:
        """Inputs of the model for these examples."""
        task = self.ready.task
        made = task.call("collate", examples)
        if example_batch.is_batch(made):
            made = self.ready.applied(made)
        if not example_batch.is_batch(made):
            raise task.refuse(f"collate() returns {type(made).__name__}", "a Tensor, or a dict of Tensors")
        found: Batch = example_batch.mapped(lambda tensor: cast(tensor, self.ready.dtype), made)
        return found

    @property
    def shape(self) -> Any:
        """Of one example, before it is collated; -1 where examples differ, by name where they are dicts."""
        return self.examples.shape if not isinstance(self.examples, Tensor) else tuple(self.examples.shape[1:])


#: inputs (N, …) of the model, taken by `inputs[rows]`
Inputs: TypeAlias = Tensor | MappedInputs | CollatedInputs


def size(inputs: Tensor | MappedInputs) -> int:
    """Bytes of all inputs, as the model gets them."""
    one = inputs[:1]
    return one.numel() * one.element_size() * len(inputs)
