"""The cheapest honest way to bring a measured baseline up to date: nothing new, an inference, a training, a new draw.

Covers: ruling ways out, the cheapest last, and why. Not covered: what differs (`commands.baseline_staleness`), doing it
(`commands.rebaseline`).
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.baseline import accepted_strategy
from assay.baseline.baseline_training_data import own_training_data
from assay.commands import baseline_staleness
from assay.commands.baseline_staleness import AskedBaseline, Stale
from assay.commands.restore_weights import Stored, lost
from assay.core.errors import UsageError
from assay.core.schemas import Arm, Measurement
from assay.runtime import cache_dirs, task_source
from assay.runtime.stage_setup import StageContext

SCORE, INFER, TRAIN = "re-score", "re-infer", "re-train"
#: reasons to measure the same thing once more: the old seeds would bring the old luck back
REDRAW = (Stale.ENVIRONMENT, Stale.AGE)


@dataclass(frozen=True)
class RebaselinePlan:
    """The cheapest honest way and why no cheaper one is; `redraw`: the seeds it stands with are used up."""

    way: str
    reasons: list[str]
    redraw: bool = False


def plan(ctx: StageContext, asked: AskedBaseline, say: cache_dirs.Say) -> RebaselinePlan:
    """How to bring the baseline up to date. `say` is told when our cache takes nothing."""
    arm = baseline_staleness.record(ctx.layout)
    found = list(baseline_staleness.reasons(ctx.layout, arm, asked))
    if arm is None or arm.measurement is None:
        return RebaselinePlan(TRAIN, [reason.text for reason in found])
    used_up = [reason.text for reason in found if reason.what in REDRAW]
    if used_up and baseline_staleness.has_replicates_of(arm, asked.named, asked.params.vary):
        return RebaselinePlan(TRAIN, used_up, redraw=True)
    examples = [reason.text for reason in found if reason.what is Stale.EXAMPLES]
    if other := [reason.text for reason in found if reason.what is not Stale.EXAMPLES]:
        return RebaselinePlan(TRAIN, other)
    if not examples:
        return RebaselinePlan(
            SCORE, ["it was measured under today's environment, profile and draw, on today's examples"]
        )
    why = _cannot_infer(ctx, arm, arm.measurement, asked, say)
    return RebaselinePlan(TRAIN, [*examples, why]) if why else RebaselinePlan(INFER, examples)


def _cannot_infer(ctx: StageContext, arm: Arm, measured: Measurement, asked: AskedBaseline, say: cache_dirs.Say) -> str:
    """Why stored weights cannot predict today's examples, "" when they can.

    Raises UsageError when only a file is missing: fetching it costs less than training.
    """
    named, layout = asked.named, ctx.layout
    tree = accepted_strategy.unpack(ctx.run, named.commit, say)
    task = accepted_strategy.resolved(ctx.run.home, named.name, named.commit).task.name
    if "fit" in task_source.read(tree, task, "learning").functions:
        return "its task trains and predicts in one function, fit()"
    where = arm.environment
    folders = layout.models("baseline"), layout.curves("baseline")
    weights = Stored(measured, *folders, where.key, ctx.params.seed, where.class_keys)
    unable = lost(weights, ctx.run.store.replicates, own_training_data(ctx, named, say), layout.part("validation"))
    if gone := next((one.why for one in unable.values() if one.fetchable), ""):
        hint = "dvc pull models/baseline plots/curves-baseline.csv, or train it again with dvc repro -s baseline"
        raise UsageError(gone, hint=hint)
    return next((f"replicate {number}: {one.why}" for number, one in unable.items()), "")
