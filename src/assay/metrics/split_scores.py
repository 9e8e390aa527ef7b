"""Scores where each replicate has a split of its own: arms and floors, each replicate on the examples it predicted.

Covers: targets by id from the training and validation part, both of which are judged on in turn. Not covered: drawing
splits (`replicates.split_examples`), one ruler for all replicates (`metrics.scored_arm`, `metrics.floor_scores`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Replicate
from assay.metrics import floor_scores, scored_arm
from assay.metrics.floor_scores import HUMAN, Floors, PredictionForm
from assay.metrics.scored_arm import Ruler, Scored
from assay.runtime import example_ids, npy_files

Array = NDArray[Any]
#: name of a second person's labels among the notes of examples
_SECOND = "second_labels"


class Labelled(Protocol):
    """Examples of `data.storage`, as far as they are judged by."""

    @property
    def ids(self) -> NDArray[np.str_]: ...
    @property
    def notes(self) -> Mapping[str, Array]: ...
    @property
    def seen_targets(self) -> Any: ...
    def take(self, rows: NDArray[np.int64]) -> Labelled: ...


@dataclass
class SplitFloors:
    """`found`: the mean of each floor over splits; `each`: floor → its scores on each split, in order of replicates."""

    found: Floors = field(default_factory=Floors)
    each: dict[str, list[dict[str, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgedExamples:
    """Training and validation part together, without inputs: all that a replicate may be judged on."""

    examples: Labelled
    rows: Mapping[str, int]  # id → row

    @classmethod
    def read(cls, both: Labelled) -> JudgedExamples:
        """Of the examples of both parts."""
        return cls(both, {name: row for row, name in enumerate(both.ids.tolist())})

    def of(self, ids: NDArray[np.str_], where: str) -> Labelled:
        """The examples called so, in that order, without the "" that fill up a smaller split."""
        return self.examples.take(self.rows_of(ids, where))

    def rows_of(self, ids: NDArray[np.str_], where: str) -> NDArray[np.int64]:
        """Where these examples stand in both parts."""
        try:
            return np.array([self.rows[name] for name in ids.tolist() if name], dtype=np.int64)
        except KeyError as error:
            raise UsageError(
                f"{where} holds predictions of {error.args[0]}, which is in neither part", hint="dvc repro"
            ) from error

    def rulers(self, ruler: Ruler, ids: NDArray[np.str_], where: str) -> list[Ruler]:
        """`ruler` for the examples of each replicate; `ids` (R, N)."""
        found = (self.of(row, where) for row in ids)
        return [replace(ruler, ids=one.ids, targets=one.seen_targets) for one in found]


def ids_of(folder: Path, hint: str) -> NDArray[np.str_]:
    """(R, N) ids of what each replicate predicted. Raises UsageError where all predicted the same examples."""
    found = example_ids.read(folder / "ids.npy", hint)
    if found.ndim != 2:
        raise UsageError(f"{folder} holds predictions for one part, and vary draws splits", hint=hint)
    return found


def scores(
    replicates: Sequence[Replicate], predictions: Array, rulers: Sequence[Ruler], who: str
) -> list[dict[str, float] | None]:
    """Every metric of each replicate on its own examples, None where it diverged."""
    made = zip(replicates, predictions, rulers, strict=True)
    return [
        None if one.diverged is not None else ruler.scores(row[: len(ruler.ids)], f"{who} {one.number}")
        for one, row, ruler in made
    ]


def load(layout: ProjectPaths, arm: Arm, ruler: Ruler, judged: JudgedExamples) -> Scored | None:
    """The arm, each replicate scored on its split; None for the floor, which has no replicates."""
    if arm.measurement is None:
        return None
    folder, found = layout.predictions(arm.arm), arm.measurement.replicates
    hint = scored_arm.again(layout, folder, "train" if arm.arm == "candidate" else arm.arm)
    predictions, ids = npy_files.read(folder / "predictions.npy", hint), ids_of(folder, hint)
    if not len(predictions) == len(ids) == len(found):
        raise UsageError(f"{folder} holds {len(predictions)} replicates, its record {len(found)}", hint=hint)
    made = scores(found, predictions, judged.rulers(ruler, ids, str(folder)), f"{arm.arm} replicate")
    return Scored(arm, found, predictions, [one or {} for one in made], own_examples=True)


def floors(
    layout: ProjectPaths, ruler: Ruler, judged: JudgedExamples, wanted: PredictionForm, human: float | None
) -> SplitFloors:
    """Every floor on every split, in the form of the candidate's predictions; `human` is a person's score."""
    made = of_folder(layout.floors, ruler, judged, wanted, human, scored_arm.again(layout, layout.floors, "baseline"))
    made.found.absent.update(floor_scores.noted_absent(layout))
    if human is not None:
        made.found.scores[HUMAN] = {ruler.decides: human}
    return made


def of_folder(
    folder: Path, ruler: Ruler, judged: JudgedExamples, wanted: PredictionForm, human: float | None, hint: str
) -> SplitFloors:
    """Floors that have a score of their own on every split: fitted ones, by their predictions in `folder`, and a second
    person's labels."""
    rulers = judged.rulers(ruler, ids_of(folder, hint), str(folder))
    made = SplitFloors()
    for path in sorted(folder.glob("*.npy")):
        if path.stem != "ids":
            _add(made, path.stem, list(npy_files.read(path, hint)), rulers, wanted)
    if judged.examples.notes.get(_SECOND) is not None:
        _add_person(made, judged, rulers, wanted, human)
    return made


def _add_person(
    made: SplitFloors, judged: JudgedExamples, rulers: Sequence[Ruler], wanted: PredictionForm, human: float | None
) -> None:
    """A second person's labels of each split, as a floor."""
    name = HUMAN if human is None else floor_scores.SECOND
    if reason := floor_scores.no_person(rulers[0]):
        made.found.absent[name] = reason
        return
    given = [judged.of(ruler.ids, "a split").notes[_SECOND] for ruler in rulers]
    _add(made, name, [floor_scores.labels(one, wanted.classes) for one in given], rulers, wanted)


def _add(made: SplitFloors, name: str, rows: Sequence[Array], rulers: Sequence[Ruler], wanted: PredictionForm) -> None:
    """One floor; left out with a reason where one of its splits cannot be scored."""
    each: list[dict[str, float]] = []
    for row, ruler in zip(rows, rulers, strict=True):
        count = len(ruler.ids)
        form = replace(wanted, shape=(count, *wanted.shape[1:]))
        alone = Floors()
        floor_scores.add(alone, name, row[:count], ruler, form)
        if name in alone.absent:
            made.found.absent[name] = alone.absent[name]
            return
        each.append(alone.scores[name])
    made.each[name] = each
    shown = [metric for metric in each[0] if all(metric in one for one in each)]
    made.found.scores[name] = {metric: float(np.mean([one[metric] for one in each])) for metric in shown}
