"""`assay rebaseline`: the accepted strategy under today's ruler, in the cheapest way that is honest.

Re-score stored predictions where only the metric changed; re-infer from stored weights where the
validation examples changed; re-train, on a new draw of seeds, where environment or profile changed or the
baseline is old. Not covered: strategies that are not the baseline (`verbs.rescore`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from assay.arms.accepted import FLOOR
from assay.data.examples import read_manifest
from assay.evidence.events import Remeasured
from assay.history import lookup, numbers, project
from assay.history.reading import parse_metrics, read
from assay.history.scratch import failed, run
from assay.history.state import State, Strategy, fold
from assay.history.writing import check_identity, write
from assay.outside import files
from assay.verbs.confirming import fresh_seeds
from assay.words import params, records
from assay.words.errors import UsageError
from assay.words.layout import Layout
from assay.words.params import Params
from assay.words.records import Arm, Environment

SCORE, INFER, TRAIN = "re-score", "re-infer", "re-train"


@dataclass(frozen=True)
class Done:
    """How the baseline was brought up to date, why so, and the metric version it now stands under."""

    way: str
    reasons: list[str]
    metric_version: str
    n: int


def rebaseline(start: Path, say: Callable[[str], None]) -> Done:
    """Measure the baseline of params.yaml as today asks for. Raises UsageError when it is the floor."""
    layout = project.find(start)
    asked = params.resolved(files.read_bytes(layout.params))
    if asked.baseline == FLOOR:
        raise UsageError(
            "the baseline is the floor, which every run measures anew", mend="assay accept EXPERIMENT NAME"
        )
    state = fold(read(layout.root, experiments=False).tags)
    strategy = lookup.strategy(state, asked.baseline)
    _repro(layout, "context", "split")
    way, reasons = _way(layout, asked, strategy)
    say(f"{way}: {'; '.join(reasons)}")
    if way == TRAIN and _measured(layout, asked):
        _draw(layout, asked, state, strategy, "; ".join(reasons))
        _repro(layout, "context")
    _repro(layout, "evaluate", alone=way == SCORE)  # other examples, or another machine, concern both arms
    metrics, _ = parse_metrics(files.read_bytes(layout.metrics))
    arm = _arm(layout)
    n = len(arm.measurement.replicates) if arm and arm.measurement else 0
    return Done(way, reasons, numbers.text(metrics, "metric_version"), n)


def _way(layout: Layout, asked: Params, strategy: Strategy) -> tuple[str, list[str]]:
    """The cheapest honest way, and why no cheaper one is."""
    arm = _arm(layout)
    if arm is None or arm.measurement is None or arm.name != asked.baseline:
        return TRAIN, [f"{asked.baseline} was not measured here"]
    where = layout.environment
    today = records.decode(files.read_bytes(where), Environment, str(where))
    reasons = []
    if arm.environment.key != today.key:
        reasons.append(f"environment: {arm.environment.key} → {today.key}")
    if arm.measurement.profile != asked.profile:
        reasons.append(f"profile: {arm.measurement.profile} → {asked.profile}")
    if len(arm.measurement.replicates) != asked.replicates:
        reasons.append(f"replicates: {len(arm.measurement.replicates)} → {asked.replicates}")
    age, most = _age(strategy), asked.judge.baseline_max_age
    if most is not None and age > most:
        reasons.append(f"it is {age} days old, baseline_max_age is {most:g}")
    if reasons:
        return TRAIN, reasons
    examples = read_manifest(layout.part("validation")).content
    candidate = _arm(layout, "candidate")
    if arm.evaluated != examples or candidate is None or candidate.evaluated != examples:
        return INFER, ["the validation examples changed"]
    return SCORE, ["environment, profile and validation examples are those it was measured with"]


def _age(strategy: Strategy) -> int:
    day = (strategy.drawn or strategy.tag).stamp.date
    return (date.today() - date.fromisoformat(day)).days if day else 0


def _measured(layout: Layout, asked: Params) -> bool:
    """Whether its present draw was ever used: then a new one is due."""
    arm = _arm(layout)
    return arm is not None and arm.name == asked.baseline


def _draw(layout: Layout, asked: Params, state: State, strategy: Strategy, why: str) -> None:
    check_identity(layout.root)
    event = Remeasured(
        name=strategy.accepted.name,
        sequence=state.sequence + 1,
        commit=strategy.tag.commit,
        why=why,
        strategy=strategy.tag.object,
        seeds=fresh_seeds(asked.seed, asked.replicates, state.sequence + 1),
    )
    write(layout.root, event, f"Measure {strategy.tag.name} again", why)


def _arm(layout: Layout, name: str = "baseline") -> Arm | None:
    path = layout.record(name)
    return records.decode(files.read_bytes(path), Arm, str(path)) if path.is_file() else None


def _repro(layout: Layout, *stages: str, alone: bool = False) -> None:
    """`dvc repro` up to `stages`; with `alone` without what comes before."""
    options = ["--single-item"] if alone else []
    code, said = run([sys.executable, "-m", "dvc", "repro", "--quiet", *options, *stages], layout.root, layout.root)
    if code:
        raise failed(f"{' and '.join(stages)} did not run", said, "dvc repro")
