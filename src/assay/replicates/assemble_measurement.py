"""The answer to a request, from its replicates; from the cache alone where all of them are at hand.

Covers: models, predictions, curves, log and the Measurement, byte for byte the same whether the replicates were
trained just now or long ago. Not covered: training those that no cache has (`training.train_and_predict`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assay.core import params_yaml as parameters
from assay.core import schemas
from assay.core.errors import AssayError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Identity, Measurement, MeasureRequest, Note
from assay.replicates import printed_lines, replicate_cache, safetensors_check
from assay.replicates.replicate_cache import ReplicateCache, Told
from assay.replicates.replicate_result import Outcome
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.replicates.training_progress import Progress
from assay.runtime import dvc_yaml, example_ids, files, timing

#: folder of an arm's weights → what the lines about its training begin with
ARMS = {"baseline": "baseline", "candidate": "train"}


def requested(request: MeasureRequest, root: Path) -> Params:
    """The parameters of `root` under the profile of `request`."""
    path = ProjectPaths(root).params
    return parameters.resolved(dvc_yaml.parameters(root), request.profile, str(path))


def watched(request: MeasureRequest, params: Params, say: Callable[[str], None] | None = None) -> Progress:
    """Curves and log where `request` wants them."""
    count = len(request.replicates)
    name = ARMS.get(Path(request.models).name, request.purpose)
    if params.baseline != "floor" and name != request.purpose:
        name = f"{name} (arm {1 + (name == ARMS['candidate'])} of 2)"
    total = params.train.epochs * count
    return Progress(Path(request.curves), Path(request.log), total, say, replicates=count, name=name)


def ignored(_what: object) -> None:
    """What is told to nobody."""


@dataclass(frozen=True)
class Watch:
    """What a stage looks at while its request is answered."""

    ready: Callable[[], None]  # once all is imported, before anything trains; raises to refuse
    late: Callable[[], list[str]]  # modules imported since that nobody had seen
    #: given a `training.missing_replicates.RequestRun` that is about to train; raises to refuse
    before: Callable[[Any], None] = ignored
    #: gives the module that watches a loop of the task's own, in the loop's process; "" for none
    loop_watch: Callable[[], str] = str
    #: given what that found, as plain values
    loop_seen: Callable[[list[dict[str, Any]]], None] = ignored
    #: the module that takes down what one replicate's network is given and says; "" for none
    recorder: str = ""
    #: given the cache once all replicates are in it, wherever they were trained
    done: Callable[[ReplicateCache], None] = ignored


#: who asks for an accepted strategy, whose files do not change
NOBODY = Watch(lambda: None, list)


class Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was noted while a replicate trained, remembered for each: the next group may hold a part of this one."""

    lines: list[Note]
    unproven: list[str]  # modules that were imported meanwhile and that nobody had seen


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a group's training took of the device. `utilisation`: mean percent of time in which a GPU was busy."""

    peak_memory: int  # bytes
    utilisation: float | None = None


@dataclass(frozen=True)
class CachedReplicates:
    """A group that the cache has as a whole."""

    store: ReplicateCache
    outcomes: list[Outcome]
    told: Told


def at_hand(request: MeasureRequest, params: Params, sample: ExampleSubset) -> CachedReplicates | None:
    """The group that `request` asks for, where the cache has every replicate with predictions, and what it told."""
    store = replicate_cache.store(request, params, sample, [])
    told = store.told(request.replicates)
    if told is None:
        return None
    found = []
    for number in request.replicates:
        outcome = store.load(number)
        if outcome is None or outcome.predictions is None:
            return None
        found.append(outcome)
    return CachedReplicates(store, found, told)


def write_kept(request: MeasureRequest, params: Params, sample: ExampleSubset, kept: CachedReplicates) -> Measurement:
    """The answer from the cache alone; torch is not imported for it, which would take longer than all the rest."""
    progress = watched(request, params)
    try:
        for line in kept.told.log:
            progress.log(line)
        for outcome in kept.outcomes:
            progress.finished(outcome)
        measured = write(request, params, sample, kept.outcomes, kept.store, progress, Cost(kept.told.peak_memory))
        progress.log(f"seconds: writing {timing.mark('writing'):.2f}")
        return measured
    finally:
        progress.close()


def tell(
    request: MeasureRequest, store: ReplicateCache, outcomes: Sequence[Outcome], unproven: list[str], cost: Cost
) -> list[str]:
    """Keep what a finished training told, for whoever finds its replicates; the unproven modules of all of it.

    Where nothing was trained, as new examples were only predicted, what the training told stays as it is.
    """
    known = store.told(request.replicates)
    if known is not None and all(one.reused for one in outcomes):
        return sorted({*known.unproven, *unproven})
    note([(store, one) for one in outcomes], unproven)
    before = (store.recall(Notes, "notes", one.number) for one in outcomes if one.reused)
    unproven = sorted({*unproven, *(file for one in before if one for file in one.unproven)})
    log = files.read_bytes(Path(request.log)).decode().splitlines()
    store.tell(request.replicates, Told(log, unproven, cost.peak_memory))
    if cost.utilisation is not None:
        store.remember(cost, "cost", request.replicates)
    return unproven


def note(trained: Sequence[tuple[ReplicateCache, Outcome]], unproven: list[str]) -> None:
    """Keep, for each replicate that was trained, what was noted meanwhile."""
    for store, one in trained:
        if one.reused:
            continue
        lasting = [each for each in store.notes if each.kind != "uncached"]
        if lasting or unproven or store.recall(Notes, "notes", one.number):  # the last of an entry now lost
            store.remember(Notes(lasting, unproven), "notes", one.number)


def write(
    request: MeasureRequest,
    params: Params,
    sample: ExampleSubset,
    outcomes: Sequence[Outcome],
    store: ReplicateCache,
    progress: Progress,
    cost: Cost,
) -> Measurement:
    """Write everything that `request` asks for; `cost` is what it took today.

    Raises AssayError when all replicates diverged; no answer then.
    """
    _refuse_all_diverged(outcomes)
    reused = sum(one.reused for one in outcomes)
    if reused:
        progress.say(f"{reused} of {len(outcomes)} replicates were trained before and are used again")
    nondeterministic = sorted(store.nondeterministic)
    notes = _notes(outcomes, store)
    for line in [*(each.text for each in notes), *(f"{name} has no deterministic kernel" for name in nondeterministic)]:
        progress.say(line)
    answer = Measurement(
        identity=Identity(code=request.code, parameters=parameters.strategy(params), data=sample.data),
        purpose=request.purpose,
        profile=request.profile,
        replicates=[one.record() for one in outcomes],
        left_out=sample.left_out,
        nondeterministic=nondeterministic,
        peak_memory=cost.peak_memory,
        notes=list(notes),
        utilisation=_utilisation(request, outcomes, store, cost),
        splits=sample.splits(request.replicates),
        weights=next((safetensors_check.count(one.weights) for one in outcomes if one.diverged is None), None),
    )
    _write_outcomes(request, outcomes, sample.ids(request.replicates))
    progress.rewrite(outcomes)
    printed_lines.write_again(request, outcomes, store)
    files.write_bytes(Path(request.answer), schemas.encode(answer))
    return answer


def _notes(outcomes: Sequence[Outcome], store: ReplicateCache) -> list[Note]:
    """What was noted now, and what was while those trained that came from the cache; each line once."""
    remembered = (store.recall(Notes, "notes", one.number) for one in outcomes if one.reused)
    return list(dict.fromkeys([*store.notes, *(line for one in remembered if one for line in one.lines)]))


def _utilisation(
    request: MeasureRequest, outcomes: Sequence[Outcome], store: ReplicateCache, cost: Cost
) -> float | None:
    """Of today's training; where nothing trained, of the one that this group comes from."""
    if all(one.reused for one in outcomes) and (known := store.recall(Cost, "cost", request.replicates)):
        return known.utilisation
    return cost.utilisation


def _refuse_all_diverged(outcomes: Sequence[Outcome]) -> None:
    if outcomes and all(one.diverged for one in outcomes):
        raise AssayError(
            f"all {len(outcomes)} replicates diverged, among them {outcomes[0].sentence}",
            hint="lower lr, or set train.clip",
        )


def _write_outcomes(request: MeasureRequest, outcomes: Sequence[Outcome], ids: NDArray[np.str_]) -> None:
    """Weights and predictions. Their bytes follow from the numbers alone: no time, commit or path is in them."""
    models, predictions = Path(request.models), Path(request.predictions)
    for stale in models.glob("*.safetensors"):
        stale.unlink()
    models.mkdir(parents=True, exist_ok=True)
    for one in outcomes:
        if one.diverged is None:
            files.write_bytes(models / f"{one.number}.safetensors", one.weights)
    _write_array(predictions / "predictions.npy", _stacked(outcomes, ids))
    _write_array(predictions / "ids.npy", example_ids.packed(ids))


def _stacked(outcomes: Sequence[Outcome], ids: NDArray[np.str_]) -> NDArray[np.float32]:
    """(R, N, …) predictions; NaN where a replicate diverged, and behind the last one of a smaller split."""
    made = [one.predictions for one in outcomes if one.predictions is not None and one.diverged is None]
    own = ids.ndim > 1  # each has examples of its own
    shapes = {array.shape[own:] for array in made}
    if len(shapes) != 1:
        raise UsageError(f"predictions of the replicates have the shapes {sorted(shapes)}", allowed="the same for all")
    shape = (*ids.shape[1:], *shapes.pop()) if own else shapes.pop()
    stacked = np.full((len(outcomes), *shape), np.nan, dtype=np.float32)
    for row, one in zip(stacked, outcomes, strict=True):
        if one.predictions is not None and one.diverged is None:
            row[: len(one.predictions)] = one.predictions
    return stacked


def _write_array(path: Path, array: NDArray[Any]) -> None:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    files.write_bytes(path, content.getvalue())
