"""What of the baseline's last measurement is not as today asks for: what `assay status` and `assay rebaseline` go by.

Covers: comparing its record with today's tag, draw, parameters, environment, age and examples. Not covered: the
cheapest way to bring it up to date (`commands.rebaseline_plan`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import Any, NamedTuple

from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.changes import dvc_lock_diff
from assay.core import schemas, variation
from assay.core.errors import AssayError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Arm, Environment, Part
from assay.core.yaml12 import parse
from assay.history.strategy_status import Strategy
from assay.runtime import dvc_lock, files


class Stale(Enum):
    """What differs."""

    NAME = auto()  # another baseline was measured, or none
    ENVIRONMENT = auto()
    AGE = auto()
    COMMIT = auto()
    REPLICATES = auto()
    PARAMETER = auto()
    EXAMPLES = auto()  # other validation examples


class StaleReason(NamedTuple):
    what: Stale
    text: str


@dataclass(frozen=True)
class AskedBaseline:
    """What today asks for."""

    named: AcceptedStrategy  # with the replicates that it stands with
    params: Params
    environment: Environment
    strategy: Strategy | None  # its evidence, where it has any


def reasons(layout: ProjectPaths, arm: Arm | None, asked: AskedBaseline) -> Iterator[StaleReason]:
    """Everything that is not as asked; of another baseline nothing more is said."""
    named = asked.named
    if arm is None or arm.measurement is None or arm.name != named.name:
        last = "" if arm is None else f": the last run measured {arm.name}"
        yield StaleReason(Stale.NAME, f"{named.name} was not measured here{last}")
        return
    if arm.environment.key != asked.environment.key:
        text = f"it was measured under {arm.environment.key}, today is {asked.environment.key}"
        yield StaleReason(Stale.ENVIRONMENT, text)
    if old := age(asked.strategy, asked.params.judge.baseline_max_age):
        yield StaleReason(Stale.AGE, old)
    if arm.commit != named.commit:
        text = f"{named.name} is another commit: {arm.commit[:12]} → {named.commit[:12]}"
        yield StaleReason(Stale.COMMIT, text)
    elif not has_replicates_of(arm, named, asked.params.vary):
        wanted = variation.purpose(named.purpose, asked.params.vary)
        text = f"the last run used other seeds: {arm.measurement.purpose} → {wanted} from {named.first} on"
        yield StaleReason(Stale.REPLICATES, text)
    for change in _parameters(layout):
        yield StaleReason(Stale.PARAMETER, change)
    if arm.evaluated != _validation(layout):
        yield StaleReason(Stale.EXAMPLES, "the validation examples changed")


def age(strategy: Strategy | None, most: float | None) -> str:
    """That the evidence is older than `most` days, or ""."""
    day = (strategy.drawn or strategy.tag).stamp.date if strategy else ""
    days = (date.today() - date.fromisoformat(day)).days if day else 0
    return f"it is {days} days old, baseline_max_age is {most:g}" if most is not None and days > most else ""


def record(layout: ProjectPaths, name: str = "baseline") -> Arm | None:
    """Who was measured last, None where nothing was."""
    path = layout.record(name)
    return schemas.decode(files.read_bytes(path), Arm, str(path), "dvc exp run") if path.is_file() else None


def has_replicates_of(arm: Arm, named: AcceptedStrategy, vary: Sequence[str] = variation.KINDS) -> bool:
    """Whether the measured replicates are those that the baseline stands with today, under today's `vary`."""
    if arm.measurement is None or arm.commit != named.commit:
        return False
    first = min((one.number for one in arm.measurement.replicates), default=0)
    return (arm.measurement.purpose, first) == (variation.purpose(named.purpose, vary), named.first)


def _parameters(layout: ProjectPaths) -> Iterator[str]:
    """What the stage was run with, by dvc.lock, and is asked for otherwise."""
    if not layout.lock.is_file():
        return
    locked = dvc_lock.stages(layout.lock.read_bytes()).get("baseline", {})
    present: dict[str, Any] = parse(files.read_bytes(layout.params))
    for key, value in dvc_lock.parameters(locked).items():
        if (now := dvc_lock_diff.parameter(present, key)) != value:
            yield f"{key}: {value} → {now}"


def _validation(layout: ProjectPaths) -> str:
    """Content hash of today's validation part, "" where it cannot be read."""
    path = layout.manifest("validation")  # `data.storage` would bring NumPy along
    try:
        return schemas.decode(files.read_bytes(path), Part, str(path)).content
    except AssayError:
        return ""
