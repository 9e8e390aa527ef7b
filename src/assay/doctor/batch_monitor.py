"""Batches of a loop: which loader they come from, whether they change, and what is never drawn."""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from assay.doctor import tensor_tree, user_frames
from assay.doctor.check_results import Problem
from assay.doctor.loop_checks import LoopCheck, LoopMonitor
from assay.doctor.loop_state import DrawnBatch, Loop, WatchedOptimizer
from assay.doctor.subject import NotApplicableError, NotRunError

#: steps on validation's batches after which it was no accident
ENOUGH = 3
#: steps in a row with the same batch
REPEATED = 30
#: iterators that were left after one batch
LEFT = 5
TRAIN, VALIDATION = "train", "validation"


class BatchMonitor(LoopMonitor):
    """Training on validation's batches, the same batch again, iterators left after one batch."""

    EVENTS = ("begun", "drawn")

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.loaders: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.counts: weakref.WeakKeyDictionary[Any, list[int]] = weakref.WeakKeyDictionary()
        self.iterators: defaultdict[int, list[list[int]]] = defaultdict(list)
        self.begun: Counter[int] = Counter()
        self.known: dict[int, Any] = {}
        self.begun_at: dict[int, str] = {}
        self.last: dict[int, DrawnBatch] = {}
        self.memory = {part: _addresses(one) for part, one in _parts(loop).items()}
        self.steps: dict[int, Counter[tuple[str, bool]]] = defaultdict(Counter)
        self.trained_on: set[int] = set()
        self.training_on: set[str] = set()
        self.evaluating_on: set[str] = set()
        self.line = ""
        self.previous: Tensor | None = None
        self.repeats = self.longest = 0
        self.repeated_at = ""

    def checks(self) -> list[LoopCheck]:
        return [
            LoopCheck("validation-trained-on", "data", 94, self._validation, level="warning"),
            LoopCheck("same-batch-again", "data", 92, self._same_batch, level="warning"),
            LoopCheck("iterator-left", "data", 93, self._iterator_left, level="warning"),
        ]

    def event(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "begun":
            loader = arguments[0]
            self.loaders[result] = loader
            self.known[id(loader)] = loader
            self.begun[id(loader)] += 1
            if self.loop.full:
                self.counts[result] = []
                self.iterators[id(loader)].append(self.counts[result])
                self.begun_at[id(loader)] = user_frames.place()
        elif name == "drawn":
            loader = self.loaders.get(arguments[0], None)
            key = id(loader) if loader is not None else id(arguments[0])
            self.counts.get(arguments[0], []).append(1)
            self.loop.batch = self.last[key] = DrawnBatch(loader, list(tensor_tree.leaves(result)))
            self.loop.drawn[key] += 1

    def step_ended(self, held: WatchedOptimizer) -> None:
        if not self.known and not self.memory and not self.last:  # no loader at all
            return
        source = self._source()
        if source is not None:
            training = held.root.training if held.root is not None else True
            self.steps[id(held)][(source, training)] += 1
            self._note_turns(source, training)
            if source == VALIDATION or not training:
                self.line = held.line
        self.loop.drawn.clear()
        self._note_repeat(held)

    def _note_turns(self, source: str, training: bool) -> None:
        if training and self.evaluating_on and source in self.training_on:
            self.loop.evaluates_with_steps = not self.evaluating_on & self.training_on
        (self.training_on if training else self.evaluating_on).add(source)

    def _source(self) -> str | None:
        """The part that the step's batch came from: `train`, `validation`, the number of a loader, or unknown."""
        addresses = set() if self.loop.call is None else self.loop.call.addresses
        for part, known in self.memory.items():
            if addresses & known:
                return part
        for key, batch in self.last.items():
            if any(one.data_ptr() in addresses for one in batch.tensors):
                self.trained_on.add(key)
                return self._part_of(key)
        if len(self.loop.drawn) == 1:
            key = next(iter(self.loop.drawn))
            self.trained_on.add(key)
            return self._part_of(key)
        return None

    def _part_of(self, key: int) -> str:
        loader = self.known.get(key)
        for part, given in _parts(self.loop).items():
            if loader is given:
                return part
        parts = _parts(self.loop)
        dataset = getattr(loader, "dataset", None)
        same = [part for part, given in parts.items() if dataset is not None and _dataset(given) is dataset]
        return same[0] if len(same) == 1 else str(key)

    def _note_repeat(self, held: WatchedOptimizer) -> None:
        given = () if self.loop.call is None else self.loop.call.tensors
        now, before = next((one for one in given if one.numel()), None), self.previous
        if now is None:
            return
        again = before is not None and before.dtype == now.dtype and torch.equal(before, now)
        self.repeats = self.repeats + 1 if again else 0
        if self.repeats > self.longest:
            self.longest, self.repeated_at = self.repeats, held.line
        self.previous = now

    # the checks

    def _validation(self) -> list[Problem]:
        if not self.steps:
            raise NotApplicableError("where the batches come from could not be seen")
        everyone = list(self.steps.values())
        for counts in everyone:
            on_train = any(part != VALIDATION and training for part, training in counts)
            # an architecture search, of which one optimizer is for validation
            others = any(part != VALIDATION for one in everyone if one is not counts for part, _ in one)
            on_validation = sum(count for (part, _), count in counts.items() if part == VALIDATION)
            if self.loop.val_loader is None and self.loop.evaluates_with_steps:
                on_validation = sum(count for (_, training), count in counts.items() if not training)
            if on_validation >= ENOUGH and (on_train or not others):
                return [
                    Problem(
                        places=[self.line, "val_loader"],
                        reason="the optimizer makes steps on validation's batches: its numbers are training's",
                        measured=f"{on_validation} steps seen",
                        threshold="none",
                        next_step="evaluate with torch.no_grad(), without backward() and step()",
                    )
                ]
        return []

    def _same_batch(self) -> list[Problem]:
        series = self.loop.single_series()
        if series is None:
            raise NotApplicableError("the loop has several losses or optimizers")
        lengths = [_length(one) for one in [*self.known.values(), self.loop.train_loader] if one is not None]
        if not lengths:
            raise NotApplicableError("no loader was seen")
        if self.longest < REPEATED:
            return []
        third = len(series.values) // 3
        before, last = series.values[third : 2 * third], series.values[2 * third :]
        if max(lengths) < 2 or not third or sum(last) / len(last) < 0.9 * sum(before) / len(before):
            return []
        return [
            Problem(
                places=[self.repeated_at, "train_loader"],
                reason="the same batch is trained on again and again, and the loss does not fall any more",
                measured=f"{self.longest + 1} steps in a row; the loader has {max(lengths)} batches",
                threshold=f"fewer than {REPEATED}, or a loss that falls",
                next_step="draw a batch inside the loop",
            )
        ]

    def _iterator_left(self) -> list[Problem]:
        found = []
        for key, counts in self.iterators.items():
            loader, left = self.known[key], [sum(one) for one in counts[:-1]]
            if key not in self.trained_on or len(left) < LEFT or len(set(left)) != 1 or not left[0]:
                continue
            size, batch = _size(loader), getattr(loader, "batch_size", None) or 1
            if left[0] >= _length(loader) or size is None:
                continue
            ordered = isinstance(getattr(loader, "sampler", None), SequentialSampler)
            batch *= left[0]
            if ordered or (left[0] == 1 and self.begun[key] * batch < size):
                drawn = batch if ordered else self.begun[key] * batch
                found.append(
                    Problem(
                        places=[self.begun_at.get(key, ""), "train_loader"],
                        reason="each iterator over the loader is left after "
                        + ("one batch" if left[0] == 1 else f"{left[0]} batches")
                        + ": part of the data is never drawn",
                        measured=f"at most {drawn} of {size} examples in {self.begun[key]} iterators",
                        threshold="all examples, in time",
                        next_step="take break or next(iter(…)) out of the loop",
                    )
                )
        if not self.iterators:
            raise NotApplicableError("no DataLoader was iterated")
        if not found and not self.trained_on:
            raise NotRunError("no step could be traced to a DataLoader")
        return found


def _parts(loop: Loop) -> dict[str, Any]:
    parts = {VALIDATION: loop.val_loader, TRAIN: loop.train_loader}
    return {name: one for name, one in parts.items() if one is not None}


def _dataset(loader: Any) -> Any:
    return loader.dataset if isinstance(loader, DataLoader) else None


def _addresses(loader: Any) -> set[int]:
    """Where the tensors of a loader lie that is a list of batches."""
    if not isinstance(loader, Sequence):
        return set()
    return {one.data_ptr() for one in tensor_tree.leaves(list(loader[:2048])) if one.numel()}


def _length(loader: Any) -> int:
    try:
        return len(loader)
    except TypeError:
        return 0


def _size(loader: Any) -> int | None:
    try:
        return len(loader.dataset)
    except (TypeError, AttributeError):
        return None
