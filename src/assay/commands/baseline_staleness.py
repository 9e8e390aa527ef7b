"""What today asks of the baseline that was measured: nothing new, an inference, a training, or a new draw of seeds.

Covers: comparing its record with today's tag, draw, parameters, environment, age and examples, cheapest way
first ruled out last. Not covered: doing it (`commands.rebaseline`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.baseline.baseline_training_data import own_training_data
from assay.changes import dvc_lock_diff
from assay.commands.restore_weights import Stored, lost
from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Environment, Measurement
from assay.core.yaml12 import parse
from assay.data import storage
from assay.history.strategy_status import Strategy
from assay.runtime import cache_dirs, files, task_source
from assay.runtime.stage_setup import StageContext

SCORE, INFER, TRAIN = "re-score", "re-infer", "re-train"


@dataclass(frozen=True)
class RebaselinePlan:
    """The cheapest honest way and why no cheaper one is; `redraw`: the seeds it stands with are used up."""

    way: str
    reasons: list[str]
    redraw: bool = False


def plan(ctx: StageContext, named: AcceptedStrategy, strategy: Strategy | None, say: cache_dirs.Say) -> RebaselinePlan:
    """How to bring the baseline `named` up to date. `strategy` is its evidence, where it has any.

    `say` is told when our cache takes nothing.
    """
    arm = record(ctx.layout)
    if arm is None or arm.measurement is None or arm.name != named.name:
        return RebaselinePlan(TRAIN, [f"{named.name} was not measured here"])
    used_up = list(_used_up(ctx, arm, strategy))
    if used_up and arm_is(arm, named):
        return RebaselinePlan(TRAIN, used_up, redraw=True)
    other = [*used_up, *_other(ctx, arm, arm.measurement, named)]
    if other:
        return RebaselinePlan(TRAIN, other)
    if arm.evaluated == storage.read_manifest(ctx.layout.part("validation")).content:
        return RebaselinePlan(
            SCORE, ["it was measured under today's environment, profile and draw, on today's examples"]
        )
    why = _cannot_infer(ctx, arm, arm.measurement, named, say)
    if why:
        return RebaselinePlan(TRAIN, ["the validation examples changed", why])
    return RebaselinePlan(INFER, ["the validation examples changed"])


def record(layout: ProjectPaths, name: str = "baseline") -> Arm | None:
    """Who was measured last, None where nothing was."""
    path = layout.record(name)
    return schemas.decode(files.read_bytes(path), Arm, str(path), "dvc exp run") if path.is_file() else None


def arm_is(arm: Arm, named: AcceptedStrategy) -> bool:
    """Whether the measured replicates are those that the baseline stands with today."""
    if arm.measurement is None or arm.commit != named.commit:
        return False
    first = min((one.number for one in arm.measurement.replicates), default=0)
    return (arm.measurement.purpose, first) == (named.purpose, named.first)


def _used_up(ctx: StageContext, arm: Arm, strategy: Strategy | None) -> Iterator[str]:
    """Reasons to measure the same thing once more: the old seeds would bring the old luck back."""
    where = ctx.layout.environment
    today = schemas.decode(files.read_bytes(where), Environment, str(where))
    if arm.environment.key != today.key:
        yield f"environment: {arm.environment.key} → {today.key}"
    most, day = ctx.params.judge.baseline_max_age, (strategy.drawn or strategy.tag).stamp.date if strategy else ""
    age = (date.today() - date.fromisoformat(day)).days if day else 0
    if most is not None and age > most:
        yield f"it is {age} days old, baseline_max_age is {most:g}"


def _other(ctx: StageContext, arm: Arm, measured: Measurement, named: AcceptedStrategy) -> Iterator[str]:
    """Reasons to measure something else: another commit, draw or amount. Its seeds are the ones it stands with."""
    if arm.commit != named.commit:
        yield f"{named.name} is another commit: {arm.commit[:12]} → {named.commit[:12]}"
    elif not arm_is(arm, named):
        yield f"the last run used other seeds: {measured.purpose} → {named.purpose} from {named.first} on"
    lock = dvc_lock_diff.read(files.read_bytes(ctx.layout.lock, "dvc repro baseline"))
    then = (lock.get("baseline", {}).get("params") or {}).get("params.yaml") or {}
    present = parse(files.read_bytes(ctx.layout.params))
    for key, value in then.items():
        now = _at(present, key)
        if now != value:
            yield f"{key}: {value} → {now}"


def _at(values: object, key: str) -> object:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _cannot_infer(
    ctx: StageContext, arm: Arm, measured: Measurement, named: AcceptedStrategy, say: cache_dirs.Say
) -> str:
    """Why stored weights cannot predict today's examples, "" when they can.

    Raises UsageError when only a file is missing: fetching it costs less than training.
    """
    tree, layout = accepted_strategy.unpack(ctx.run, named.commit, say), ctx.layout
    task = accepted_strategy.resolved(ctx.run.home, named.name, named.commit).task.name
    if "fit" in task_source.read(tree, task, "learning").functions:
        return "its task trains and predicts in one function, fit()"
    train, _ = storage.read(own_training_data(ctx, named, say))
    evaluated, _ = storage.read(layout.part("validation"), ["ids"])
    weights = Stored(
        measured, layout.models("baseline"), layout.curves("baseline"), arm.environment.key, ctx.params.seed
    )
    reasons = lost(weights, ctx.run.store.replicates, train, evaluated)
    gone = next((why for why in reasons.values() if why.endswith("not available")), "")
    if gone:
        mend = "dvc pull models/baseline plots/curves-baseline.csv, or train it again with dvc repro -s baseline"
        raise UsageError(gone, mend=mend)
    number, why = next(iter(reasons.items()), (0, ""))
    return f"replicate {number}: {why}" if why else ""
