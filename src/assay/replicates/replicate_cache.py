"""Replicates that need not be trained again.

A replicate's name is a hash of everything that makes its weights: code closure, resolved parameters, the
examples it trains on, profile, environment, and its streams. The evaluated part is no ingredient of it,
so that new validation examples cost an inference, not a training; predictions are kept beside the weights
under the evaluated part's hash. How a replicate was executed is recorded and not part of its name.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from assay.core import params_yaml as parameters
from assay.core.params_yaml import Params
from assay.core.schemas import PREDICTIONS, Divergence, MeasureRequest, Note, Replicate
from assay.replicates import cache_entries, cache_pruning, curve_values, safetensors_check, sealed_records
from assay.replicates.replicate_names import Names as Names
from assay.replicates.replicate_result import OWN_LOOP, Outcome, Point
from assay.replicates.sealed_records import S
from assay.replicates.shared_cache import SharedCache
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.runtime import cache_dirs, npy_files
from assay.runtime.file_locks import Lock

#: decisions that are kept
DECISIONS = 1000

_WEIGHTS = "weights"
#: name of what a recorder took down, beside the weights
_RECORDED = "recorded"


class _Trained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside the weights."""

    name: str
    replicate: Replicate
    train: Sequence[float | None]  # loss of each epoch; None where it is not finite
    nondeterministic: list[str]
    #: of a loop of its own, and of a loss with terms: epoch and what was said of it by name, the losses included
    said: list[tuple[float, dict[str, float | None]]] | UnsetType = UNSET


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a group's training told beside its replicates."""

    log: list[str]
    unproven: list[str]  # modules that were imported while it ran and that nobody had seen
    peak_memory: int  # bytes


class _Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside the predictions for one evaluated part."""

    name: str
    evaluated: str
    validation: Sequence[float | None]  # loss of each epoch; empty when it was predicted after training
    diverged: Divergence | None  # where it was these predictions that were not finite


class _Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept beside what a recorder took down."""

    name: str


def store(
    request: MeasureRequest, params: Params, sample: ExampleSubset, nondeterministic: list[str]
) -> ReplicateCache:
    """The cache of the replicates of `request` under `params`."""
    names = Names(
        code=request.code,
        parameters=parameters.strategy(params),
        train=sample.used,
        profile=request.profile,
        environment=request.environment,
        purpose=request.purpose,
        seed=request.seed,
    )
    if request.classes is not UNSET:
        names = msgspec.structs.replace(names, classes=request.classes)
        names = msgspec.structs.replace(names, environment=names.environment_of(request.replicates[0]))
    folder = Path(request.cache) / "replicates" if request.cache else None
    shared = Path(request.shared) if request.shared and folder else None
    return ReplicateCache(folder, names, sample.seen, nondeterministic, shared, request.here)


class ReplicateCache:
    """Cache of one group. Trouble with the disk never costs a result: it is noted once, and training goes on.

    `nondeterministic` is the list that training fills; what a replicate from the cache had met joins it.
    """

    def __init__(
        self,
        folder: Path | None,
        names: Names,
        evaluated: str,
        nondeterministic: list[str],
        shared: Path | None = None,
        here: str = "",
    ) -> None:
        """`shared` is a folder of other machines, which is looked into for what this cache lacks, and filled.

        `here`: this machine's environment, where names have several classes of machine.
        """
        self.folder = folder
        self.names = names
        self.evaluated = evaluated
        self.nondeterministic = nondeterministic
        self.notes: list[Note] = []
        self.shared = SharedCache(shared, self.notes) if shared else None
        self.here = here
        self._locks: dict[int, Lock] = {}

    def load(self, number: int) -> Outcome | None:
        """A finished replicate, without predictions where this evaluated part is new to it."""
        if self.folder is None:
            return None
        folder, name = self._entry(number)
        if not (folder / _WEIGHTS).exists() or not (folder / self.evaluated).exists():
            self._bring(folder)
        head = sealed_records.opened(folder / _WEIGHTS, _Trained)
        if head is None:
            return None
        trained, raw = head
        if trained.name != name or trained.replicate.number != number or safetensors_check.trouble(raw):
            cache_entries.discard(folder / _WEIGHTS)
            return None
        cache_entries.used(folder / _WEIGHTS)
        found = trained.replicate
        self.nondeterministic += [one for one in trained.nondeterministic if one not in self.nondeterministic]
        validation, predictions, diverged = self._seen(folder, name)
        losses = zip(
            curve_values.losses(trained.train),
            curve_values.losses(validation or [None] * len(trained.train)),
            strict=True,
        )
        curve = [Point(epoch, one, two) for epoch, (one, two) in enumerate(losses, 1)]
        return Outcome(
            number=found.number,
            seed=found.seed,
            execution=found.execution,
            seconds=found.seconds,
            steps=found.steps,
            weights=raw,
            curve=_said(trained, curve, seen=bool(validation)),
            predictions=predictions,
            diverged=found.diverged or diverged,
            reused=True,
            inference=found.inference,
        )

    def _seen(
        self, folder: Path, name: str
    ) -> tuple[Sequence[float | None], NDArray[np.float32] | None, Divergence | None]:
        path = folder / self.evaluated
        head = sealed_records.opened(path, _Seen)
        if head is None or (head[0].name, head[0].evaluated) != (name, self.evaluated):
            return [], None, None
        try:
            return head[0].validation, npy_files.parse(head[1]), head[0].diverged
        except npy_files.BROKEN:
            cache_entries.discard(path)
            return [], None, None

    def save(self, outcome: Outcome) -> None:
        """Keep a replicate, or only its predictions where it came from here."""
        if self.folder is not None:
            folder, name = self._entry(outcome.number)
            # Other examples may be predicted well by the same weights: that is no property of the training.
            predicted = outcome.diverged if outcome.diverged and outcome.diverged.tensor == PREDICTIONS else None
            try:
                if not outcome.reused:
                    own = outcome.execution == OWN_LOOP
                    curve = [] if own else [point.train for point in outcome.curve]
                    record = outcome.record()
                    if predicted is not None:
                        record = msgspec.structs.replace(record, diverged=None)
                    more = own or any(point.more for point in outcome.curve)  # terms of a loss
                    said = [(point.epoch, curve_values.of_point(point)) for point in outcome.curve] if more else UNSET
                    trained = _Trained(name, record, curve, self.nondeterministic, said)
                    sealed_records.seal(folder / _WEIGHTS, trained, outcome.weights)
                if outcome.recorded:
                    self.keep_recorded(outcome.number, outcome.recorded)
                if outcome.predictions is not None:
                    validation = (
                        []
                        if outcome.reused or outcome.execution == OWN_LOOP
                        else [point.validation for point in outcome.curve]
                    )
                    content = io.BytesIO()
                    np.save(content, outcome.predictions, allow_pickle=False)
                    seen = _Seen(name, self.evaluated, validation, predicted)
                    sealed_records.seal(folder / self.evaluated, seen, content.getvalue())
                if self.shared is not None:
                    self.shared.publish(folder, outcome.seconds)
            except OSError as error:
                self._trouble(error)

    def recorded(self, number: int) -> bytes:
        """What a recorder took down while this replicate trained; b"" where none was there."""
        if self.folder is None:
            return b""
        folder, name = self._entry(number)
        head = sealed_records.opened(folder / _RECORDED, _Recorded)
        return head[1] if head is not None and head[0].name == name else b""

    def keep_recorded(self, number: int, content: bytes) -> None:
        """Put what a recorder took down beside a replicate."""
        if self.folder is not None:
            folder, name = self._entry(number)
            try:
                sealed_records.seal(folder / _RECORDED, _Recorded(name), content)
            except OSError as error:
                self._trouble(error)

    def recall(self, kind: type[S], *ingredients: object) -> S | None:
        """What was remembered about this group under `ingredients`, beside its replicates."""
        if self.folder is None:
            return None
        memo = self._memo(*ingredients)
        if not memo.exists():
            self._bring(memo.parent)
        return sealed_records.recalled(memo, kind)

    def remember(self, what: msgspec.Struct, *ingredients: object) -> None:
        if self.folder is not None:
            try:
                sealed_records.seal(self._memo(*ingredients), what, b"")
            except OSError as error:
                self._trouble(error)

    def decided(self, kind: type[S], *ingredients: object) -> S | None:
        """What was decided about this group under `ingredients`.

        Kept beside the cache and not in it: when the cache is gone, another decision would give other last bits.
        """
        return None if self.folder is None else sealed_records.recalled(self._decision(*ingredients), kind)

    def decide(self, what: msgspec.Struct, *ingredients: object) -> None:
        if self.folder is not None:
            path = self._decision(*ingredients)
            with suppress(OSError):  # then it is decided anew
                sealed_records.seal(path, what, b"")
            cache_entries.keep_newest(path.parent, DECISIONS)

    def told(self, numbers: Sequence[int]) -> Told | None:
        """What was told of `numbers` as a group."""
        return self.recall(Told, "told", list(numbers))

    def tell(self, numbers: Sequence[int], told: Told) -> None:
        self.remember(told, "told", list(numbers))

    def _memo(self, *ingredients: object) -> Path:
        assert self.folder is not None
        return self.folder / self._name(*ingredients) / "memo"

    def _decision(self, *ingredients: object) -> Path:
        assert self.folder is not None
        cache = self.folder.parent
        return cache.with_name(f"{cache.name}-ways") / self._name(*ingredients)

    def _name(self, *ingredients: object) -> str:
        number = ingredients[-1] if isinstance(ingredients[-1], int) else None  # a memo of one replicate
        return self.names.digest(number, ingredients)

    def claim(self, numbers: Sequence[int], *, wait: bool = False) -> list[int]:
        """Those of `numbers` that nobody else is training now; with `wait` at least the first."""
        self.names.refuse_other_classes(numbers, self.here)
        if self.folder is None:
            return list(numbers)
        mine: list[int] = []
        for number in numbers:
            if self.shared is not None:
                self.shared.refuse_leased(number, self._entry(number)[1])
            try:
                lock = Lock.take(self._entry(number)[0], wait=wait and not mine)
            except OSError as error:
                self._trouble(error)
                return list(numbers)
            if lock is not None:
                self._locks[number] = lock
                mine.append(number)
        return mine

    def release(self, number: int) -> None:
        lock = self._locks.pop(number, None)
        if lock is not None:
            lock.release()

    def close(self) -> None:
        """Let go of everything, and keep the cache within its bounds."""
        for number in list(self._locks):
            self.release(number)
        if self.folder is not None:
            with suppress(OSError):
                cache_pruning.prune(self.folder.parent, cache_pruning.LIMIT)

    def _entry(self, number: int) -> tuple[Path, str]:
        assert self.folder is not None
        name = self.names.name(number)
        return self.folder / name, name

    def _bring(self, folder: Path) -> None:
        """Take from the shared folder what it has of an entry; where it cannot be kept, it is trained here."""
        if self.shared is not None:
            try:
                self.shared.bring(folder)
            except OSError as error:
                self._trouble(error)

    def _trouble(self, error: OSError) -> None:
        note = Note(cache_dirs.unkept(f"{self.folder} cannot be written ({error.strerror})"), "uncached")
        if note not in self.notes:
            self.notes.append(note)


def _said(trained: _Trained, curve: list[Point], *, seen: bool) -> list[Point]:
    """Points of a replicate with all that was said of them.

    `curve` has the losses; terms of a validation loss are left out where the examples were not `seen` in training.
    """
    if trained.said is UNSET:
        return curve
    found = [curve_values.point(epoch, values) for epoch, values in trained.said]
    if trained.replicate.execution == OWN_LOOP:
        return found
    terms = [{name: one for name, one in point.more.items() if seen or name.startswith("train ")} for point in found]
    return [Point(one.epoch, one.train, one.validation, more) for one, more in zip(curve, terms, strict=True)]
