"""floors: what a candidate must beat before its gain means something. `baseline` starts it beside its own work.

A process of its own, for processors that would lie idle meanwhile; no stage of dvc.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.baseline import trivial_baselines
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.core import schemas, variation
from assay.data import storage
from assay.replicates import measure_request, split_examples
from assay.runtime import files
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
    path, hint, asked = ctx.layout.accepted, "dvc repro context", ctx.params
    draw = schemas.decode(files.read_bytes(path, hint), AcceptedStrategy, str(path), hint)
    purpose = variation.purpose(draw.purpose, asked.vary)
    parts = split_examples.read_parts(measure_request.draws(ctx), asked.seed, purpose)
    numbers = range(draw.first, draw.first + asked.replicates)
    ids, made, absent = trivial_baselines.of_splits((parts.train(one), parts.evaluated(one)) for one in numbers)
    trivial_baselines.write(ctx.layout.floors, split_examples.padded(ids), made, absent)
