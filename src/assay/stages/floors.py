"""floors: what a candidate must beat before its gain means something. `baseline` starts it beside its own work.

A process of its own, for processors that would lie idle meanwhile; no stage of dvc.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.baseline import trivial_baselines
from assay.data import storage
from assay.runtime.stage_setup import start


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "baseline")
    ctx.prove()
    train, _ = storage.read(ctx.layout.part("train"))
    validation, _ = storage.read(ctx.layout.part("validation"))
    made, absent = trivial_baselines.floors(train, validation), trivial_baselines.absent(train)
    trivial_baselines.write(ctx.layout.floors, validation.ids, made, absent)
