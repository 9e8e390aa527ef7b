"""Weights that an arm left behind, put back where a measurement looks for them: inferred from, not trained again.

The cache of replicates may be deleted at any moment; models and curves are DVC's. Covers: which replicates can
predict new examples, and putting those back that the cache has lost. Not covered: whether the arm is the
strategy that is asked for (`commands.rebaseline_plan`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from assay.core.errors import UsageError
from assay.core.schemas import Measurement, Replicate
from assay.data import storage
from assay.data.storage import Examples
from assay.replicates.replicate_cache import Names, ReplicateCache
from assay.replicates.replicate_result import OWN_LOOP, Outcome, Point
from assay.replicates.train_and_eval_examples import NEEDED, sample, without
from assay.runtime import files

#: columns of the curves that a loop of the task's own does not name
_COLUMNS = ("replicate", "seed", "epoch", "train_loss", "validation_loss")


@dataclass(frozen=True)
class Stored:
    """An arm that was measured: its record, the folder of its weights, the file of its curves."""

    measurement: Measurement
    models: Path
    curves: Path
    environment: str
    seed: int  # root of its streams
    classes: Mapping[str, str] = field(default_factory=dict)  # where classes of machine are blocks: of each


class LostWeights(NamedTuple):
    """Why a replicate's weights cannot be used, and whether DVC may have them elsewhere."""

    why: str
    fetchable: bool = False


def lost(stored: Stored, cache: Path, train: Path, evaluated: Path) -> dict[int, LostWeights]:
    """Replicate → why its weights cannot predict the part `evaluated`; empty when all can, and then the cache has them.

    `train` is the folder of the training part that they were made from. Raises UsageError when a file of weights is
    damaged.
    """
    used, left_out = without(storage.read(train, NEEDED)[0], storage.read(evaluated, ["ids"])[0])
    store = _store(stored, cache, used)
    reasons = {}
    for one in stored.measurement.replicates:
        if store.load(one.number) is not None:
            continue
        path = stored.models / f"{one.number}.safetensors"
        if left_out or stored.measurement.left_out:
            reasons[one.number] = LostWeights("validation examples were among those it was trained on, or are now")
        elif one.diverged is not None:
            reasons[one.number] = LostWeights("it diverged, and left no weights")
        elif not path.is_file():
            reasons[one.number] = LostWeights(f"{path} is not available", fetchable=True)
        else:
            store.save(_outcome(one, path, stored.curves))
    return reasons


def _store(stored: Stored, cache: Path, used: Examples) -> ReplicateCache:
    measured = stored.measurement
    names = Names(
        code=measured.identity.code,
        parameters=measured.identity.parameters,
        train=storage.content_digest(sample(used, measured.identity.parameters["train"]["sample"])),
        profile=measured.profile,
        environment=stored.environment,
        purpose=measured.purpose,
        seed=stored.seed,
        classes=dict(stored.classes),
    )
    return ReplicateCache(cache, names, "", list(measured.nondeterministic))


def _outcome(one: Replicate, path: Path, curves: Path) -> Outcome:
    try:
        with safe_open(path, framework="numpy"):  # checks its header against its size
            weights = files.read_bytes(path)
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged ({error})", hint="dvc checkout --force models/baseline") from error
    return Outcome(one.number, one.seed, one.execution, one.seconds, one.steps, weights, _curve(curves, one))


def _curve(curves: Path, one: Replicate) -> list[Point]:
    """Losses of one replicate; validation losses belong to the old examples, and do not come back. A loop of the task's
    own has them of its training part."""
    rows = csv.DictReader(files.read_bytes(curves, "dvc checkout plots").decode().splitlines())
    mine = [row for row in rows if row["replicate"] == str(one.number)]
    own = one.execution == OWN_LOOP
    return [
        Point(
            _number(row["epoch"]),
            _number(row["train_loss"]),
            _number(row["validation_loss"] if own else ""),
            _more(row),
        )
        for row in mine
    ]


def _more(row: dict[str, str]) -> dict[str, float]:
    """Other values that a loop of the task's own said."""
    return {name: _number(value) for name, value in row.items() if name not in _COLUMNS and value}


def _number(cell: str) -> float:
    """A cell of the curves: a whole number as one, an empty one as NaN."""
    return int(cell) if cell.isdigit() else float(cell or "nan")
