"""Examples as tensors: preprocessing, batches for several replicates at once.

Covers: what training sees of the data and in which order. Not covered: files (`data.storage`), and the
split into parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.data.storage import Examples
from assay.training import example_batch, example_inputs, example_loader, memory_estimate, model_inputs, random_streams
from assay.training.example_inputs import DecodeCache
from assay.training.mixing import Mixing
from assay.training.model_inputs import CollatedInputs, Inputs, MappedInputs, Preprocessing
from assay.training.random_streams import Globals, Streams
from assay.training.task_interface import Task

#: bytes of input that one gather of an epoch may copy; larger epochs are gathered step by step
GATHER = 64 * 2**20
#: bytes of preprocessed inputs from which they are preprocessed batch by batch
BY_BATCH = 256 * 2**20
#: numbers that preprocess() makes of one, at most, where it is not asked: categories become a column each
MOST_FOR_ONE = 64
#: examples on which `preprocess` is tried, as a whole and in two halves, before it is called batch by batch
TRIED = 64

_HOST = torch.device("cpu")


@dataclass(frozen=True)
class Tensors:
    """N examples ready for the model."""

    inputs: Inputs  # (N, …)
    targets: Tensor  # (N, …) int64 classes, or floating point
    place: torch.device = _HOST  # where batches are wanted

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def shape(self) -> Any:
        """Shape of one example; of what is collated -1 where examples differ, and by name where they are dicts."""
        return self.inputs.shape if isinstance(self.inputs, CollatedInputs) else tuple(self.inputs.shape[1:])

    @property
    def resident(self) -> int:
        """Bytes in memory; what is mapped takes that of the page cache."""
        inputs = model_inputs.size(self.inputs) if isinstance(self.inputs, Tensor) else 0
        return inputs + self.targets.numel() * self.targets.element_size()

    def to(self, device: torch.device) -> Tensors:
        """Move to the device where all of it fits into half of the free memory; else batches move one by one."""
        if not isinstance(self.inputs, Tensor):
            return replace(self, place=device)
        if device.type != "cpu" and self.resident > memory_estimate.available(device) // 2:
            return replace(self, place=device)
        return Tensors(self.inputs.to(device), self.targets.to(device), device)


def tensors(
    task: Task, train: Examples, evaluated: Examples, dtype: torch.dtype, cache: DecodeCache | None = None
) -> tuple[Tensors, Tensors]:
    """Both parts, preprocessed; statistics come from the training part alone."""
    made = of_parts(task, (train, evaluated), dtype, cache)
    return made[0], made[1]


def of_parts(
    task: Task, parts: Sequence[Examples], dtype: torch.dtype, cache: DecodeCache | None = None
) -> list[Tensors]:
    """Each part, preprocessed; the first is the training part, which alone gives statistics.

    Where that takes more than BY_BATCH bytes, inputs stay as they are, mapped where they were, until a batch is taken.
    """
    raw = example_inputs.prepared(task, parts, cache)
    extra = () if task.statistics is None else (task.call("statistics", raw[0]),)

    ready = Preprocessing(task, extra, dtype)
    if task.collate is not None:
        return [
            Tensors(CollatedInputs(one, ready), part_targets(task, part, dtype))
            for one, part in zip(raw, parts, strict=True)
        ]
    large = sum(_ready_bytes(ready, one) for one in raw) > BY_BATCH
    if large:
        _refuse_joint(task, ready, raw[0][:TRIED])
    return [
        Tensors(MappedInputs(inputs, ready) if large else ready(inputs), part_targets(task, part, dtype))
        for part, inputs in zip(parts, raw, strict=True)
    ]


def part_targets(task: Task, part: Examples, dtype: torch.dtype) -> Tensor:
    """(N, …) targets of a part as training sees them; a table (N, K) where an example has several."""
    made = example_inputs.tensor(part.targets, task, "targets")
    if part.several is not None:  # one table of whole and other numbers, which float64 keeps exactly
        return made
    return made.long() if part.classes is not None else made.to(dtype)


def _ready_bytes(ready: Preprocessing, raw: Tensor) -> int:
    """Bytes of all inputs once preprocessed, as a first one tells; 0 where they are few whatever it makes of each."""
    if raw.numel() * 8 * MOST_FOR_ONE <= BY_BATCH:
        return 0
    return model_inputs.size(MappedInputs(raw, ready))


def _refuse_joint(task: Task, ready: Preprocessing, few: Tensor) -> None:
    """Raise UsageError where an example is preprocessed otherwise among others: batches would give other inputs."""
    half = len(few) // 2
    whole, apart = ready(few), torch.cat([ready(few[:half]), ready(few[half:])])
    if whole.shape != apart.shape or not torch.allclose(whole, apart, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise task.refuse(
            "preprocess() gives an example other values among other examples, and these are too many for one call",
            "each row by itself; what follows from the training part belongs to statistics()",
        )


def outputs(examples: Examples) -> int | dict[str, int]:
    """How many numbers the model returns for one example: classes, or entries of a target, of several by name."""
    if examples.several is not None:
        return {one.name: one.end - one.first for one in examples.several}
    return int(np.prod(examples.targets.shape[1:])) if examples.classes is None else len(examples.classes)


def cuts(examples: int, batch_size: int) -> list[tuple[int, int]]:
    """Ends of each batch of an epoch. The last is smaller; a single leftover example joins the batch before it,
    because batch normalisation has no variance of one."""
    starts = list(range(0, examples, batch_size))
    if len(starts) > 1 and examples - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], examples], strict=True))


class Feed:
    """Batches for `lanes` replicates, each in an order of its own."""

    def __init__(
        self,
        task: Task,
        data: Tensors,
        batch_size: int,
        streams: Sequence[Streams],
        loaders: int = 0,
        mixing: Mixing | None = None,
    ) -> None:
        """`loaders`: processes that collate batches of one lane; 0 is this one."""
        self.mixing = mixing
        self.task = task
        self.data = data
        self.streams = streams
        self.loaders = loaders
        self.device = data.place
        self.cuts = cuts(len(data), batch_size)
        self.augmenting = [one.generator("augmentation", self.device) for one in streams] if task.augment else []
        self.globals = self._globals() if task.augment and len(streams) > 1 else []
        self.whole = isinstance(data.inputs, Tensor) and model_inputs.size(data.inputs) * len(streams) <= GATHER

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self.cuts)

    def epoch(self, number: int, skip: int = 0) -> Iterator[tuple[Any, Tensor]]:
        """(lanes, batch, …) inputs and targets of each step of epoch `number` (from 1), without the first `skip`."""
        if isinstance(self.data.inputs, CollatedInputs):
            yield from self._collated(self.data.inputs, number, skip)
            return
        order = np.stack([one.order(number, len(self.data)) for one in self.streams])
        rows = torch.from_numpy(order).to(self.data.targets.device)
        if self.whole:
            inputs, targets = self.data.inputs[rows], self.data.targets[rows]
        for step, (start, end) in enumerate(self.cuts[skip:], skip):
            if self.whole:
                batch = inputs[:, start:end], targets[:, start:end]
            else:
                batch = self.data.inputs[rows[:, start:end]], self.data.targets[rows[:, start:end]]
            moved = batch[0].to(self.device), batch[1].to(self.device)
            moved = self._augmented(*moved) if self.augmenting else moved
            yield self.mixing.batch(*moved, self.streams, (number, step)) if self.mixing else moved

    def _collated(self, inputs: CollatedInputs, number: int, skip: int) -> Iterator[tuple[Any, Tensor]]:
        """The only lane of batches of unequal examples."""
        (stream,) = self.streams
        order = torch.from_numpy(stream.order(number, len(self.data)))
        rows = [order[start:end] for start, end in self.cuts]
        seeds = [stream.integer("loader", number, step) for step in range(len(rows))]
        for step, batch in enumerate(example_loader.batches(inputs, rows, seeds, skip, self.loaders), skip):
            targets = self.data.targets[rows[step]].to(self.device)[None]
            lane = example_batch.as_lane(example_batch.moved(batch, self.device))
            yield self._augmented(lane, targets) if self.augmenting else (lane, targets)

    def state(self) -> dict[str, Any]:
        """Streams that an epoch draws from; orders are drawn anew for each epoch and need none."""
        return {
            "augmenting": [one.get_state() for one in self.augmenting],
            "globals": [one.state() for one in self.globals],
        }

    def restore(self, state: dict[str, Any]) -> None:
        for generator, kept in zip(self.augmenting, state["augmenting"], strict=True):
            generator.set_state(kept)
        self.globals = [Globals.of(kept) for kept in state["globals"]]

    def _globals(self) -> list[Globals]:
        """A state of the global generators for each lane, should augment() draw from them."""
        with random_streams.untouched():
            found = []
            for one in self.streams:
                random_streams.seed_globals(one.display)
                found.append(Globals())
        return found

    def _augmented(self, inputs: Any, targets: Tensor) -> tuple[Any, Tensor]:
        lanes = range(len(self.streams))
        made = [self._augment(lane, example_batch.lane(inputs, lane), targets[lane]) for lane in lanes]
        for pair in made:
            if not (isinstance(pair, tuple) and len(pair) == 2 and all(map(example_batch.is_batch, pair))):
                raise self.task.refuse("augment() does not return two Tensors", "(inputs, targets)")
        if isinstance(self.data.inputs, CollatedInputs):
            ((batch, aims),) = made
            return example_batch.as_lane(batch), aims[None]
        return torch.stack([one for one, _ in made]), torch.stack([two for _, two in made])

    def _augment(self, lane: int, inputs: Any, targets: Tensor) -> Any:
        if not self.globals:
            return self.task.call("augment", inputs, targets, self.augmenting[lane])
        self.globals[lane].restore()
        made = self.task.call("augment", inputs, targets, self.augmenting[lane])
        self.globals[lane] = Globals()
        return made
