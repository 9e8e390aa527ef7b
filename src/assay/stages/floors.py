"""floors: what a candidate must beat before its gain means something. `baseline` starts it beside its own work.

A process of its own, for processors that would lie idle meanwhile; no stage of dvc.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assay.baseline import candidate_seeds, trivial_baselines
from assay.baseline.trivial_baselines import Predictions
from assay.core import variation
from assay.data import storage
from assay.replicates import measure_request, split_examples
from assay.runtime.stage_setup import StageContext, start


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "baseline")
    ctx.prove()
    if variation.SPLIT in ctx.params.vary:
        _of_splits(ctx)
        return
    train, _ = storage.read(ctx.layout.part("train"))
    validation, _ = storage.read(ctx.layout.part("validation"))
    made, absent = trivial_baselines.floors(train, validation), trivial_baselines.absent(train)
    trivial_baselines.write(ctx.layout.floors, validation.ids, made, absent)


def _of_splits(ctx: StageContext) -> None:
    """Floors fitted on the training examples of each split, for the validation examples of that split."""
    draw, asked = candidate_seeds.today(ctx.layout), ctx.params
    purpose = variation.purpose(draw.purpose, asked.vary)
    parts = split_examples.read_parts(measure_request.draws(ctx), asked.seed, purpose)
    made, ids, absent = list[dict[str, Predictions]](), [], dict[str, str]()
    for number in range(draw.first, draw.first + asked.replicates):
        train, evaluated = parts.train(number), parts.evaluated(number)
        made.append(trivial_baselines.floors(train, evaluated))
        absent |= trivial_baselines.absent(train)
        ids.append(evaluated.ids)
    names = sorted(set.intersection(*(set(one) for one in made)))
    stacked = {name: _filled_up([one[name] for one in made]) for name in names}
    trivial_baselines.write(ctx.layout.floors, split_examples.padded(ids), stacked, absent)


def _filled_up(rows: Sequence[Predictions]) -> Predictions:
    """(R, N, …) of R arrays (n, …), NaN behind the last row of a smaller one."""
    found = np.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), np.nan, dtype=np.float32)
    for row, one in zip(found, rows, strict=True):
        row[: len(one)] = one
    return found
