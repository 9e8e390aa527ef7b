"""The examples of each replicate, where training and validation part are drawn anew for each from their union.

Covers: reading both parts, the split of each replicate, one hash over all of them. An accepted strategy that was
trained on other data brings these in place of today's training part; what it is judged on is drawn from today's parts,
and nothing of that trains. Not covered: drawing (`data.resampled_split`), which replicates those are (`baseline`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assay.core import variation
from assay.core.errors import UsageError
from assay.core.params_yaml import Params, Split
from assay.core.paths import ProjectPaths
from assay.core.schemas import DrawnSplits, MeasureRequest, SplitDraw
from assay.data import contiguous_split, resampled_split, storage
from assay.data.example_notes import SECOND
from assay.data.resampled_split import DrawnSplit, JoinedParts
from assay.data.storage import Examples
from assay.replicates import replicate_seeds, train_and_eval_examples
from assay.replicates.train_and_eval_examples import NEEDED, ExampleSubset, sample, without
from assay.runtime import example_ids, files

_READ = (*NEEDED, "groups", "order")
_SALT = "assay resampled split 1"


class Sampling(NamedTuple):
    """Share of each training part that trains, and whether of each stratum."""

    share: float = 1.0
    stratify: bool = False


ALL = Sampling()


@dataclass(frozen=True)
class SplitParts:
    """Training and validation examples of replicates under (`seed`, `purpose`).

    `own`: what trains beside `validation`; `today`: the training part that splits are drawn from with it. `contents`:
    hashes of `today`, `validation` and `own`. `tested`: what is predicted in place of validation examples, if anything.
    """

    today: Examples
    validation: Examples
    own: Examples
    contents: tuple[str, str, str]
    asked: Split
    places: tuple[NDArray[np.int64], int] | None
    seed: int
    purpose: str
    sampling: Sampling = ALL
    tested: Examples | None = None

    @property
    def content(self) -> str:
        """Hash of all that decides the split of a replicate, beside seed, purpose and number."""
        count = None if self.places is None else self.places[1]
        return files.digest(msgspec.json.encode([1, self.contents, self.asked, count], order="deterministic"))

    @cached_property
    def joined(self) -> JoinedParts:
        keys = np.concatenate([storage.input_keys(self.today), storage.input_keys(self.validation)])
        return JoinedParts(self.labelled, keys, len(self.validation), self.asked, self.places)

    @property
    def labelled(self) -> Examples:
        """Today's training part and validation part, without inputs."""
        return storage.joined(_without_inputs(self.today), _without_inputs(self.validation))

    def drawn(self, number: int) -> DrawnSplit:
        """(N,) of today's training part followed by the validation part."""
        purpose = variation.plain_purpose(self.purpose)
        words = replicate_seeds.sequence(self.seed, purpose, number, variation.SPLIT).generate_state(4, np.uint32)
        return resampled_split.draw(self.joined, f"{_SALT} {words.tobytes().hex()} ")

    def evaluated(self, number: int) -> Examples:
        """What replicate `number` predicts: its validation examples, with inputs."""
        if self.tested is not None:
            return self.tested
        return self._taken(self.today, np.flatnonzero(self.drawn(number).validation))

    def train(self, number: int) -> Examples:
        """What replicate `number` trains on, with inputs."""
        found = self._taken(self.own, np.sort(rows := self._rows(number)))
        return found if self.places is None else found.take(np.argsort(np.argsort(rows)))

    def size(self, number: int) -> int:
        """How many examples replicate `number` trains on."""
        return len(self._rows(number))

    def splits(self, numbers: Sequence[int]) -> DrawnSplits:
        """What is recorded of the splits of these replicates."""
        both = self.labelled
        masks = [self.drawn(number).validation for number in numbers]
        parts = [
            [
                self.joined.keys[mask].tobytes(),
                both.ids[mask].tolist(),
                np.ascontiguousarray(both.targets[mask]).tobytes(),
            ]
            for mask in masks
        ]
        return DrawnSplits(
            content=files.digest(msgspec.msgpack.encode(parts)),
            train=[self.size(number) for number in numbers],
            evaluated=[int(mask.sum()) for mask in masks],
        )

    def _rows(self, number: int) -> NDArray[np.int64]:
        """Rows of `own` followed by the validation part that train."""
        head = storage.joined(_without_inputs(self.own), _without_inputs(self.validation))
        head = replace(head, inputs=np.arange(len(head))[:, None]).take(self._trains(number))
        if self.tested is not None:
            head = without(head, self.tested)[0]
        head = sample(head, self.sampling.share, stratify=self.sampling.stratify)
        rows: NDArray[np.int64] = head.inputs[:, 0].astype(np.int64)
        return rows if self.places is None else rows[np.argsort(self.places[0][rows])]

    def _trains(self, number: int) -> NDArray[np.bool_]:
        """(N,) of `own` followed by the validation part: what is drawn to train, and own examples that today's part
        does not have. None that is predicted, nor one of its group."""
        drawn = self.drawn(number)
        if self.contents[2] == self.contents[0]:
            return drawn.train
        count, both = len(self.today), self.joined.examples
        judged = both.take(drawn.validation)
        own = ~np.isin(example_ids.bases(self.own.ids), example_ids.bases(judged.ids))
        if self.own.groups is not None and judged.groups is not None:
            own &= ~np.isin(self.own.groups, judged.groups)
        return np.append(own, drawn.train[count:])

    def _taken(self, first: Examples, rows: NDArray[np.int64]) -> Examples:
        """Examples at `rows`, in rising order, of `first` followed by the validation part."""
        own = rows < len(first)
        return storage.joined(first.take(rows[own]), self.validation.take(rows[~own] - len(first)))


@dataclass(frozen=True)
class SplitExamples(ExampleSubset):
    """The examples of a request whose replicates have splits of their own; the fields are those of the first one.

    `used` and `seen` name the splits of all replicates, as numbers tell these apart.
    """

    parts: SplitParts

    def of(self, number: int) -> ExampleSubset:
        train, evaluated = self.parts.train(number), self.parts.evaluated(number)
        return ExampleSubset(train, evaluated, self.data, self.seen, 0, self.used)

    def ids(self, numbers: Sequence[int]) -> NDArray[np.str_]:
        """(R, N) ids of what each replicate predicts, "" behind the last one of a smaller part."""
        if self.parts.tested is not None:
            return self.parts.tested.ids
        both = self.parts.joined.examples.ids
        return padded([both[self.parts.drawn(number).validation] for number in numbers])

    def splits(self, numbers: Sequence[int]) -> DrawnSplits:
        return self.parts.splits(numbers)


def read(request: MeasureRequest, params: Params) -> ExampleSubset:
    """Read what `request` names: the same examples for all replicates, or a split for each. Raises UsageError for what
    is wrong in it."""
    draws = request.draws
    if draws is UNSET:
        return train_and_eval_examples.read(request, params)
    tested, seen = None, ""
    if request.evaluate != draws.validation:
        tested, manifest = storage.read(Path(request.evaluate), NEEDED)
        seen = manifest.content
    sampling = Sampling(params.train.sample, params.train.stratify)
    parts = read_parts(draws, request.seed, request.purpose, request.train, sampling)
    parts = replace(parts, tested=tested)
    first = request.replicates[0]
    return SplitExamples(
        train=parts.train(first),
        evaluated=parts.evaluated(first),
        data=parts.contents[2],
        seen=seen or files.digest(f"drawn from {parts.content}".encode()),
        left_out=0,
        used=parts.content,
        parts=parts,
    )


def read_parts(draws: SplitDraw, seed: int, purpose: str, own: str = "", sampling: Sampling = ALL) -> SplitParts:
    """Both parts of today, and the folder `own` of a training part, today's where it is left out."""
    today, known = storage.read(Path(draws.train), _READ)
    validation, judged = storage.read(Path(draws.validation), _READ)
    mine, content = today, known.content
    if own and own != draws.train:
        mine, manifest = storage.read(Path(own), _READ)
        content = manifest.content
    asked = msgspec.convert(draws.split, Split)
    if content != known.content and contiguous_split.way(today, asked) != "content":
        raise UsageError(
            "the baseline was trained on other data than today's, and parts in an order cannot be drawn for both",
            hint="remove split from vary in params.yaml",
        )
    places = None if asked.blocks is UNSET else _places(draws, np.append(today.ids, validation.ids))
    contents = known.content, judged.content, content
    return SplitParts(today, validation, mine, contents, asked, places, seed, purpose, sampling)


def _places(draws: SplitDraw, ids: NDArray[np.str_]) -> tuple[NDArray[np.int64], int]:
    """Row of each id among all examples: blocks are cut there, and parts do not keep it."""
    folder = Path(draws.prepared)
    hint = f"dvc checkout --force {quote(str(folder))}"
    everything, _ = storage.read(folder, ["ids"])
    known = {name: row for row, name in enumerate(everything.ids.tolist())}
    try:
        return np.array([known[name] for name in ids.tolist()], dtype=np.int64), len(known)
    except KeyError as error:
        raise UsageError(f"{folder} does not hold the example {error.args[0]} of a part", hint=hint) from error


def both_parts(layout: ProjectPaths) -> Examples:
    """Training part and validation part of the project, without inputs: replicates are judged on either."""
    read = ("ids", "targets", SECOND)
    train, validation = (storage.read(layout.part(name), read)[0] for name in ("train", "validation"))
    return storage.joined(train, validation)


def padded(rows: Sequence[NDArray[np.str_]]) -> NDArray[np.str_]:
    """(R, N) of R lists of ids, "" behind the last of a shorter one."""
    found = np.full((len(rows), max(map(len, rows))), "", dtype=np.result_type(*(one.dtype for one in rows)))
    for row, ids in zip(found, rows, strict=True):
        row[: len(ids)] = ids
    return found


def _without_inputs(examples: Examples) -> Examples:
    return replace(examples, inputs=np.empty((len(examples), 0)))
