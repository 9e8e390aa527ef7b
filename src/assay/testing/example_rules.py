"""Rules about examples: each is the same alone and among others, here and in a process that loads them.

A rule yields a sentence for each way in which it is broken, and raises NotAskedError where a task has nothing to ask.
Covers: `preprocess`, `decode`, `collate`, loading processes, the model in evaluation mode. Not covered: training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from assay.core.errors import UsageError
from assay.data.storage import Examples
from assay.training import example_batch, example_inputs, example_loader, random_streams, task_interface
from assay.training.model_inputs import CollatedInputs, Preprocessing
from assay.training.task_interface import Task
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check

#: examples that are looked at one by one, and processes that load
MOST, LOADERS = 16, 2
#: relative and absolute difference that sums in another order may make; in half precision more
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ROUGH = {"rtol": 5e-2, "atol": 5e-2}
EXACT = {"rtol": 0.0, "atol": 0.0}


class NotAskedError(Exception):
    """A rule that says nothing about such a task; the message says why."""


def preprocess(task: Task, train: Examples, evaluated: Examples, dtype: torch.dtype) -> Iterator[UsageError]:
    """Each row by itself: an example alone and among all is preprocessed alike, and what comes in stays as it is."""
    if task.preprocess is None:
        raise NotAskedError("there is no preprocess()")
    if task.collate is not None:
        raise NotAskedError("batches are made by collate(): see batches")
    raw = example_inputs.prepared(task, (train, evaluated), None)[0]
    kept = raw.clone()
    extra = () if task.statistics is None else (task.call("statistics", raw),)
    if not _same(raw, kept, exact=True):
        yield task.refuse("statistics() changes the inputs that it is given", "a dict of new Tensors")
        raw = kept.clone()
    ready = Preprocessing(task, extra, dtype)
    few = raw[:MOST].clone()
    whole = ready(few)
    if not _same(few, kept[:MOST], exact=True):
        yield task.refuse("preprocess() changes the inputs that it is given", "a new Tensor, as from inputs * 2")
    alone = [ready(kept[row : row + 1].clone()) for row in range(len(few))]
    for row, one in enumerate(alone):
        if one.shape[1:] != whole.shape[1:]:
            found = f"{tuple(one.shape[1:])} alone, {tuple(whole.shape[1:])} among {len(few)}"
            yield task.refuse(f"preprocess() gives example {row} the shape {found}", "each row by itself")
            return
        if not _same(one[0], whole[row]):
            yield task.refuse(
                f"preprocess() gives example {row} other values alone than among {len(few)}"
                f"{_first(one[0], whole[row])}",
                "each row by itself; what follows from the training part belongs to statistics()",
            )
            return


def batches(plan: TrainingPlan, raw: Examples) -> Iterator[UsageError]:
    """Batches of 1 and of B hold the same examples, and the model gives each the same output."""
    task, inputs = plan.task, plan.train.inputs
    if task.decode is not None:
        yield from _decoding(task, raw)
    if isinstance(inputs, CollatedInputs):
        yield from _collating(task, inputs)
    engine = equivalence_check.alone(plan, 0)
    count = min(MOST, len(plan.train))
    whole = _outputs(task, engine.batch_outputs, inputs[:count])
    for row in range(count):
        one = _outputs(task, engine.batch_outputs, inputs[row : row + 1])
        if one.shape[:1] != (1,):
            yield task.refuse(
                f"the model returns shape {tuple(one.shape)} for a batch of one", "a row for each example"
            )
            return
        if isinstance(inputs, CollatedInputs):
            continue  # as padded as the longest of its batch
        close = CLOSE if plan.params.train.precision in ("float32", "float64") else ROUGH
        if one.shape[1:] != whole.shape[1:] or not torch.allclose(one[0], whole[row], equal_nan=True, **close):
            yield task.refuse(
                f"the model gives example {row} another output alone than among {count} in evaluation mode"
                f"{_first(one[0], whole[row])}",
                "each row by itself",
            )
            return


def workers(plan: TrainingPlan) -> Iterator[UsageError]:
    """Loading in this process and in others gives the same batches, bit for bit."""
    inputs = plan.train.inputs
    if not isinstance(inputs, CollatedInputs):
        raise NotAskedError("there is no collate(): no process loads batches")
    rows = list(torch.split(torch.arange(min(4 * LOADERS, len(inputs))), 2))
    seeds = list(range(len(rows)))
    here, there = (list(example_loader.batches(inputs, rows, seeds, 0, count)) for count in (0, LOADERS))
    for step, (one, other) in enumerate(zip(here, there, strict=True)):
        if not _alike(one, other):
            yield plan.task.refuse(
                f"collate() gives batch {step} other values in {LOADERS} loading processes than in none",
                "the same: whatever it draws from the global generators is seeded for each batch, other state is not",
            )
            return


def _decoding(task: Task, part: Examples) -> Iterator[UsageError]:
    rows: Any = part.inputs
    for row in range(min(MOST, len(part))):
        pair = []
        for seed in (1, 2):  # what draws from a global generator differs
            random_streams.seed_globals(seed)
            pair.append(task.call("decode", rows[row], **(part.decode or {})))
        if not _alike(*pair):
            yield task.refuse(
                f"decode() gives example {row} other values the second time",
                "the same each time, as it is decoded once; chance belongs to augment()",
            )
            return


def _collating(task: Task, inputs: CollatedInputs) -> Iterator[UsageError]:
    """An example alone is the beginning, or the end, of its row among others: what is longer is padding."""
    rows = torch.arange(min(MOST, len(inputs)))
    whole = _named(inputs[rows])
    lengths = {name: len(tensor) for name, tensor in whole.items() if len(tensor) != len(rows)}
    if lengths:
        yield task.refuse(f"collate() gives {lengths} rows for {len(rows)} examples", "a row for each in every Tensor")
        return
    for row in rows.tolist():
        alone = _named(inputs[rows[row : row + 1]])
        for name, tensor in whole.items():
            one = alone[name][0]
            part = tensor[row][tuple(slice(size) for size in one.shape)]
            behind = tensor[row][
                tuple(slice(most - size, most) for size, most in zip(one.shape, tensor.shape[1:], strict=False))
            ]
            if not _same(one, part) and not _same(one, behind):
                what = f" in {name!r}" if name else ""
                yield task.refuse(
                    f"collate() gives example {row} other values alone than among {len(rows)}{what}{_first(one, part)}",
                    "the same, with padding behind or before",
                )
                return


def _outputs(task: Task, forward: Callable[[Any], Tensor], inputs: Any) -> Tensor:
    """(B, …) outputs of the model in evaluation mode."""
    try:
        return forward(inputs)[0]
    except Exception as error:
        shape = example_batch.shape(inputs)
        raise task.refuse(f"the model fails on inputs of shape {shape} with {task_interface.brief(error)}") from error


def _named(batch: Any) -> dict[str, Tensor]:
    return batch if isinstance(batch, dict) else {"": batch}


def _alike(one: Any, other: Any) -> bool:
    left, right = _named(one), _named(other)
    return left.keys() == right.keys() and all(_same(left[name], right[name], exact=True) for name in left)


def _same(one: Tensor, other: Tensor, *, exact: bool = False) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not (one.is_floating_point() or one.is_complex()):
        return torch.equal(one, other)
    return torch.allclose(one, other, equal_nan=True, **(EXACT if exact else CLOSE))


def _first(one: Tensor, other: Tensor) -> str:
    """The first two numbers that differ, in brackets; "" where the shapes do."""
    if one.shape != other.shape:
        return f" ({tuple(one.shape)} and {tuple(other.shape)})"
    left, right = one.flatten(), other.flatten()
    place = int((left != right).nonzero()[0]) if bool((left != right).any()) else 0
    return f" ({left[place].item():.6g} and {right[place].item():.6g})" if left.numel() else ""
