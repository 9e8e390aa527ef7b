"""Batches for the doctor, drawn beside a user's loader: its iterators, samplers and generators stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from assay.doctor import tensor_tree

#: most examples that are drawn of one part
MOST = 2048
#: bytes of a dataset up to which it is copied whole; a larger one shares its arrays with the doctor, who reads only
COPIED_BYTES = 2**28
#: of the order in which examples are drawn
SEED = 11


@dataclass(frozen=True)
class ExampleDraws:
    """What is drawn of one loader. `examples` is None where single ones cannot be had; `why` then says so."""

    batches: list[Any]
    examples: list[Any] | None = None
    indices: list[int] | None = None
    why: str = ""
    collate: Callable[[list[Any]], Any] | None = None

    def batch_with(self, at: int) -> Any | None:
        """A batch like the first that begins with example `at` of `examples`; None where examples cannot be had."""
        if self.examples is None or self.collate is None or not self.batches:
            return None
        size = min(tensor_tree.rows(self.batches[0], 0) or 8, len(self.examples))
        return self.collate([self.examples[(at + step) % len(self.examples)] for step in range(size)])


def draw(loader: Any, batches: int = 3) -> ExampleDraws:
    """A few batches, evenly over the data, and up to 2,048 single examples."""
    if loader is None:
        return ExampleDraws([], why="there is no such loader")
    if isinstance(loader, Iterator):
        return ExampleDraws([], why="an iterator cannot be read without taking its batches away")
    if not isinstance(loader, DataLoader):
        return _of_iterable(loader, batches)
    if isinstance(loader.dataset, IterableDataset):
        return _of_stream(loader, batches)
    return _of_dataset(loader, batches)


def _of_iterable(loader: Any, batches: int) -> ExampleDraws:
    if isinstance(loader, Sequence):
        return ExampleDraws(list(loader[:batches]), why="the loader holds batches, not single examples")
    try:
        own = copy.deepcopy(loader)
    except Exception as error:
        return ExampleDraws([], why=f"the loader cannot be copied ({type(error).__name__})")
    return ExampleDraws(list(islice(iter(own), batches)), why="the loader holds batches, not single examples")


def _of_stream(loader: DataLoader[Any], batches: int) -> ExampleDraws:
    try:
        dataset = copy.deepcopy(loader.dataset)
    except Exception as error:
        return ExampleDraws([], why=f"the data stream cannot be copied ({type(error).__name__})")
    collate = loader.collate_fn
    own = DataLoader(
        dataset,
        batch_size=loader.batch_size,
        collate_fn=collate,
        num_workers=0,
        drop_last=loader.drop_last,
        generator=torch.Generator(),
    )
    return ExampleDraws(list(islice(iter(own), batches)), why="a stream has no examples by number")


def _of_dataset(loader: DataLoader[Any], batches: int) -> ExampleDraws:
    dataset: Any = loader.dataset
    try:
        dataset = copy.deepcopy(dataset) if bytes_of(dataset) <= COPIED_BYTES else copy.copy(dataset)
    except Exception as error:
        return ExampleDraws([], why=f"the dataset cannot be copied ({type(error).__name__})")
    try:
        size = len(dataset)
        if loader.batch_sampler is None:  # batch_size=None: the dataset gives whole batches
            made = [loader.collate_fn(dataset[index]) for index in _spread(size, batches)]
            return ExampleDraws(made, why="the dataset gives batches, not single examples")
        indices = _spread(size, MOST)
        fetched = {index: dataset[index] for index in indices}
    except Exception as error:
        return ExampleDraws([], why=f"the dataset cannot be read by number ({type(error).__name__}: {error})")
    count = min(loader.batch_size or 8, size)
    drawn = []
    # by chance, so that neither sorted labels nor those that alternate fill a batch with one
    order = torch.randperm(len(indices), generator=torch.Generator().manual_seed(SEED)).tolist()
    for first in range(min(batches, max(len(indices) // count, 1))):
        members = [indices[place] for place in order[first * count : (first + 1) * count]]
        drawn.append(loader.collate_fn([fetched[index] for index in members]))
    return ExampleDraws(drawn, [fetched[index] for index in indices], indices, collate=loader.collate_fn)


def _spread(size: int, most: int) -> list[int]:
    """Up to `most` indices, evenly over `size`."""
    return list(range(size)) if size <= most else sorted({int(index * size / most) for index in range(most)})


def input_and_target(example: Any) -> tuple[Any, Any]:
    """The parts of an example or a batch: (inputs, targets); targets are None where there are none by name or place."""
    if isinstance(example, dict):
        named = next((name for name in ("labels", "label", "targets", "target", "y") if name in example), None)
        return {key: one for key, one in example.items() if key != named}, example.get(named) if named else None
    if isinstance(example, list | tuple) and len(example) > 1:
        return (example[0] if len(example) == 2 else tuple(example[:-1])), example[-1]
    return (example[0] if isinstance(example, list | tuple) and example else example), None


def bytes_of(held: Any, depth: int = 4) -> int:
    """About how many bytes of arrays an object holds."""
    if isinstance(held, torch.Tensor | np.ndarray):
        return int(held.nbytes)
    if depth == 0:
        return 0
    inside = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else ()
    if not isinstance(held, dict | list | tuple) and hasattr(held, "__dict__"):
        inside = vars(held).values()
    return sum(bytes_of(one, depth - 1) for one in islice(inside, 10_000))
