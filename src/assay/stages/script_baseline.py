"""baseline of a script's project: the accepted script from its commit, under today's ruler."""

from __future__ import annotations

from functools import partial

from msgspec import UNSET

from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy, unpack
from assay.core import schemas
from assay.core.errors import AssayError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Draw, Measurement
from assay.replicates.measure_request import today
from assay.runtime import files
from assay.runtime.stage_setup import StageContext
from assay.script import script_arm, script_strategies
from assay.stages.script_train import say

ARM = script_strategies.BASELINE


def baseline(ctx: StageContext, named: AcceptedStrategy) -> None:
    measured, why = (None, "") if named.name == FLOOR else _measured(ctx, named)
    if measured is None:
        _nothing(ctx.layout, why or "floor; nothing ran")
    for note in measured.texts("remark", "caution") if measured else ():  # the first stage said what is not kept
        say(ARM, note)
    record = Arm(
        arm=ARM,
        name=named.name,
        commit=named.commit,
        experiment="",
        environment=today(ctx),
        evaluated="",
        measurement=measured,
        unproven=[],
        incomparable=why or UNSET,
    )
    files.write_bytes(ctx.layout.record(ARM), schemas.encode(record))


def _measured(ctx: StageContext, named: AcceptedStrategy) -> tuple[Measurement | None, str]:
    """The accepted script's replicates; or why they cannot be had under today's ruler."""
    if why := script_strategies.incomparable(ctx.run, named, ctx.params):
        return None, why
    draw, out = Draw(purpose=named.purpose, first=named.first), script_strategies.outputs(ctx.layout, ARM)
    arm = script_strategies.baseline(ctx, named, draw, out, ctx.params.seed, ctx.params.replicates)
    try:
        return script_arm.measure(arm, partial(say, ARM)), ""
    except AssayError as error:
        if not script_strategies.differs(unpack(ctx.run, named.commit), ctx.layout.root, arm.ruler):
            raise
        return None, f"{named.name} does not run with today's ruler ({error.problem})"


def _nothing(layout: ProjectPaths, why: str) -> None:
    """Folders that say why nothing is in them: dvc.yaml promises them, and DVC warns of empty ones."""
    for folder in (layout.models(ARM), layout.logs(ARM)):
        files.write_text(folder / "README.txt", f"baseline: {why}\n")
    files.write_text(layout.log(ARM), f"baseline: {why}\n")
