"""What a loop of the task's own trains on: `data` in `fit(params, data, seed, log)`.

Covers: the training part and its holdout as Tensors and as Datasets, what is said of them, where checkpoints go. Not
covered: what is made of a model that fit() returns (`training.loop_predictions`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec import UNSET
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from assay.core.errors import UsageError
from assay.core.params_yaml import Params
from assay.data import holdout_split, storage
from assay.data.named_targets import TargetPart
from assay.data.storage import Examples
from assay.training import batches, device, example_inputs, target_tensors
from assay.training.batches import Tensors
from assay.training.example_inputs import DecodeCache
from assay.training.model_inputs import CollatedInputs
from assay.training.task_interface import Task

#: members of `data.train` that people look for in `data`
_OF_TRAIN = ("inputs", "targets", "ids")


class LoopExamples(Dataset[Any]):
    """N examples: a map-style Dataset of (input, target) for a DataLoader, and all of them as `inputs`, `targets`."""

    def __init__(self, rows: Any, targets: Tensor, part: Examples, columns: Sequence[TargetPart] = ()) -> None:
        """`rows` is indexed for inputs: Tensors, or the part's own where nothing makes Tensors of them."""
        self.ids = part.ids
        self._rows, self._targets, self._columns = rows, targets, columns
        self._part, self._raw = part, part if rows is part.inputs else None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The input and the target of one example: Tensors; a row, text or file where nothing makes Tensors of them."""
        row = operator.index(index)
        if not -len(self) <= row < len(self):
            raise IndexError(f"example {row} of {len(self)}")
        return self._input(row % len(self)), self._target(self._targets[row % len(self)])

    @property
    def inputs(self) -> Any:
        """All inputs: a Tensor (N, …) as the model gets them; a DataFrame of a table, a list of texts or files."""
        if self._raw is not None:
            return example_inputs.raw_rows(self._raw)
        if isinstance(self._rows, CollatedInputs):
            raise ValueError(
                "inputs are collated batch by batch: DataLoader(data.train, collate_fn=data.train.collate)"
            )
        return self._rows if isinstance(self._rows, Tensor) else self._rows[:]

    @property
    def targets(self) -> Any:
        """All targets, a Tensor (N, …): int64 for classes, else floating point; a dict of them where there are
        several."""
        return self._target(self._targets)

    def collate(self, examples: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        """A batch from a list of examples, for `DataLoader(collate_fn=…)`: by the task's `collate()` where it has
        one."""
        if not isinstance(self._rows, CollatedInputs):
            inputs, targets = default_collate(examples)
            return inputs, targets
        return self._rows.batch([one for one, _ in examples]), default_collate([target for _, target in examples])

    def batch(self, rows: slice) -> Any:
        """Inputs of some examples as a module gets them."""
        return self._rows[rows]

    def first(self, count: int) -> LoopExamples:
        """The first `count` examples."""
        rows, targets = self._rows, self._targets[:count]
        if self._raw is not None:
            part = self._raw.take(np.arange(count))
            return LoopExamples(part.inputs, targets, part, self._columns)
        if isinstance(rows, CollatedInputs):
            rows = replace(rows, examples=[rows.examples[row] for row in range(count)])
        else:
            rows = rows[:count] if isinstance(rows, Tensor) else replace(rows, raw=rows.raw[:count])
        return LoopExamples(rows, targets, replace(self._part, ids=self.ids[:count]), self._columns)

    @property
    def table(self) -> Tensor:
        """Targets as they are stored: (N, …), several of an example as columns."""
        return self._targets

    @property
    def are_tensors(self) -> bool:
        """Whether inputs can be given to a module."""
        return self._raw is None

    def _input(self, row: int) -> Any:
        if isinstance(self._rows, CollatedInputs):
            return self._rows.examples[row]
        return (
            self._rows[row] if self._raw is not None or isinstance(self._rows, Tensor) else self._rows[row : row + 1][0]
        )

    def _target(self, targets: Tensor) -> Any:
        return target_tensors.unpack(targets, self._columns, torch.float32) if self._columns else targets


@dataclass(frozen=True)
class LoopData:
    """The training part of one replicate. `classes` names the classes, None for regression; `outputs` counts them, or
    the numbers in a target; `shape` is that of one input; `checkpoints` is a folder that survives a killed run."""

    train: LoopExamples
    checkpoints: Path
    classes: tuple[str, ...] | None
    outputs: Any
    shape: Any
    #: of the processes that train this replicate together (`train.processes_per_replicate`), from 0
    rank: int = 0
    world_size: int = 1
    _held: LoopExamples | None = None
    _place: str = field(default="cpu", repr=False)

    @property
    def holdout(self) -> LoopExamples:
        """A share of the training part that `train` goes without, to stop early. No judged example is in it."""
        if self._held is None:
            raise UsageError(
                "data.holdout was asked for, and no share is set", hint="set train.holdout: 0.1 in params.yaml"
            )
        return self._held

    @cached_property
    def device(self) -> torch.device:
        """The device that `machine.device` means here; nothing is put there by itself."""
        return device.choose(self._place)

    def __getattr__(self, name: str) -> Any:
        hint = f"; it is data.train.{name}" if name in _OF_TRAIN else ""
        raise AttributeError(f"data has no {name!r}{hint}")


@dataclass(frozen=True)
class LoopParts:
    """What one replicate trains on, and what it is judged by."""

    train: LoopExamples
    holdout: LoopExamples | None
    evaluated: LoopExamples
    shape: Any


def parts(task: Task, params: Params, train: Examples, evaluated: Examples, cache: DecodeCache | None) -> LoopParts:
    """All parts through the task's `transform`, `decode`, `statistics` and `preprocess`, where it has them."""
    share = params.train.holdout
    if share is UNSET:
        made = _examples(task, params, [train, evaluated], cache)
        return LoopParts(made[0], None, made[1], _shape(made[0]))
    held = holdout_split.held_out(train, share, params.split)
    made = _examples(task, params, [train.take(~held), evaluated, train.take(held)], cache)
    return LoopParts(made[0], made[2], made[1], _shape(made[0]))


def _examples(task: Task, params: Params, given: Sequence[Examples], cache: DecodeCache | None) -> list[LoopExamples]:
    dtype, columns = device.DTYPES[params.train.precision], task.parts or ()
    stored = storage.arrow(given[0].inputs)
    if stored is None or task.transform is not None or task.decode is not None or stored.form == "ragged":
        ready = batches.of_parts(task, given, dtype, cache)
        return [LoopExamples(one.inputs, one.targets, part, columns) for one, part in zip(ready, given, strict=True)]
    return [LoopExamples(part.inputs, batches.part_targets(task, part, dtype), part, columns) for part in given]


def _shape(examples: LoopExamples) -> Any:
    """Of one input, as model() gets it; None where inputs are no Tensors."""
    return Tensors(examples._rows, examples._targets).shape if examples.are_tensors else None
