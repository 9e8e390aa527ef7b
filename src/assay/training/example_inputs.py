"""From what is stored to what `preprocess()` gets: arrays as they are, tables transformed, everything else decoded.

Covers: `transform`, which is fitted on the training part alone, `decode()`, and which of them a task needs. Not
covered: batches (`training.batches`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core.reachability.module_graph import Project
from assay.core.reachability.reachable_code import of_members
from assay.data import storage
from assay.data.content_hash import array_digest
from assay.data.storage import Examples
from assay.runtime import files, import_closure, task_source
from assay.training import random_streams
from assay.training.decoded_examples import DecodedExamples, decoded
from assay.training.task_interface import Task

#: kind of the cache that holds decoded inputs
DECODED = "decoded"


@dataclass(frozen=True)
class DecodeCache:
    """Where decoded inputs are kept, and what their names depend on beside the examples and the code of decode()."""

    root: Path  # of the cache
    environment: str

    def folder(self, task: Task, part: Examples) -> Path:
        """The folder of one part. Arms whose models differ and whose decode() does not share it."""
        parts = [code(task), self.environment, array_digest(part.ids), part.decode]
        return self.root / DECODED / files.digest(msgspec.json.encode(parts, order="deterministic"))


def code(task: Task) -> str:
    """Text of what the task's decode() reaches."""
    module = task_source.module(task.root, task.name, "learning")
    reach = of_members(Project(partial(import_closure.read_module, task.root)), module, ["decode"])
    return reach.text()


def prepared(task: Task, parts: Sequence[Examples], cache: DecodeCache | None) -> list[Any]:
    """Inputs of each part, the first of which is the training part: Tensors (N, …), mapped where they were, or
    DecodedExamples."""
    if task.transform is not None:
        return _transformed(task, parts)
    return [_inputs(task, part, cache) for part in parts]


def _inputs(task: Task, part: Examples, cache: DecodeCache | None) -> Tensor | DecodedExamples:
    stored = storage.arrow(part.inputs)
    decode = task.decode
    if decode is None:
        if stored is None:
            return tensor(part.inputs, task, "inputs")
        decode = _undecoded(task, stored)
    options = part.decode or {}

    def one(example: Any) -> Any:
        return task.call("decode", example, **options) if task.decode is not None else decode(example)

    rows: Iterable[Any] = part.inputs if stored is None else stored
    made = decoded(rows, one, task.refuse, None if cache is None else cache.folder(task, part))
    if task.collate is not None:
        return made
    whole = made.whole
    if whole is None:
        raise task.refuse(
            f"examples have different shapes or are dicts ({made.shape}), and there is no collate()",
            "collate(examples), such as `from assay.ready.padding import collate`, or Tensors of one shape",
        )
    return whole


def _undecoded(task: Task, stored: Any) -> Callable[[Any], Any]:
    """Arrays of unequal shapes need no decode(); others do, or a transform."""
    if stored.form == "ragged":
        return _as_tensor
    if stored.form == "table":
        raise task.refuse(
            f"the inputs are a table of {', '.join(stored.columns[:5])}{', …' if stored.columns[5:] else ''}",
            "transform() that returns a scikit-learn transformer, or decode(example), which gets a dict of each row",
        )
    raise task.refuse(
        f"the inputs are {stored.form}, and there is no decode()", "decode(example) that returns a Tensor"
    )


def _as_tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array))


def _transformed(task: Task, parts: Sequence[Examples]) -> list[Tensor]:
    """All parts through a scikit-learn transformer that is fitted on the first, the training part, alone."""
    given = [raw_rows(part) for part in parts]
    with random_streams.untouched():
        random_streams.seed_globals(0)  # what draws by chance is the same for all replicates and arms
        fitted = _fitted(task, given[0])
        return [_numbers(task, partial(fitted.transform, rows)) for rows in given]


def fitted_transformer(task: Task, train: Examples) -> Any:
    """The task's transformer as training fits it, on the examples that train. Raises UsageError."""
    with random_streams.untouched():
        random_streams.seed_globals(0)
        return _fitted(task, raw_rows(train))


def _fitted(task: Task, rows: Any) -> Any:
    maker = task.transform
    found = copy.deepcopy(maker) if hasattr(maker, "fit") else task.call("transform")
    if not (hasattr(found, "fit") and hasattr(found, "transform")):
        problem = f"transform() returns {type(found).__name__}"
        raise task.refuse(problem, "something with fit() and transform(), as scikit-learn has them")
    task.guarded("transform", lambda: found.fit(rows))
    return found


def raw_rows(part: Examples) -> Any:
    """A DataFrame of a table, a list of texts, or an array (N, D)."""
    stored = storage.arrow(part.inputs)
    if stored is None:
        return part.inputs.reshape(len(part), -1)
    return stored.to_pandas() if stored.form == "table" else list(stored)


def _numbers(task: Task, step: Callable[[], Any]) -> Tensor:
    made = task.guarded("transform", step)
    dense = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
    if dense.dtype.kind not in "buif" or dense.ndim == 0:
        raise task.refuse(f"transform gives {dense.dtype} of shape {dense.shape}", "numbers, a row an example")
    found = np.ascontiguousarray(dense, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(found.reshape(len(found), -1)).all(axis=1))
    if len(bad):
        problem = f"transform leaves {len(bad)} of {len(found)} examples with missing values, the first {bad[0]}"
        raise task.refuse(problem, "finite numbers; add a SimpleImputer to it")
    return torch.from_numpy(found)


def tensor(array: NDArray[np.generic], task: Task, what: str) -> Tensor:
    """`array` as it lies. Raises UsageError where torch has no such type."""
    try:
        return torch.from_numpy(np.ascontiguousarray(array))
    except TypeError as error:
        raise task.refuse(
            f"{what} have type {array.dtype}", "numbers; turn others into numbers in prepare()"
        ) from error
