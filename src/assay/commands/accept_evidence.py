"""The numbers of an acceptance: selection as the regenerated results say it, confirmation as it was judged.

Covers: from replicates and verdicts to what the evidence holds. Not covered: measuring, deciding what next.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from assay.commands.accept_checks import FIRST
from assay.core.paths import ProjectPaths
from assay.history import metrics_json
from assay.history.attempt_and_family_entries import AttemptEntry
from assay.report.comparison_text import alone, verdict_lines
from assay.runtime import files
from assay.stats import cautions, confirmation_rule
from assay.stats.arm_comparison import Comparison as Judged
from assay.stats.arm_comparison import entered
from assay.strategies.confirmation_run import PAIRED_PURPOSE, Confirmation, FreshReplicates
from assay.tags.strategy_events import RecordedComparison, Score


def selected(layout: ProjectPaths, metrics: Mapping[str, Any]) -> RecordedComparison:
    """The comparison in the results of the project at `layout`, both arms with their spread."""
    found = metrics_json.comparison(metrics)
    assert found is not None  # a verdict was checked
    scores = _scores(layout, metrics_json.metric_of(metrics_json.text(metrics, "metric_version")))
    return msgspec.structs.replace(found, baseline=scores.get("baseline") or fixed(metrics))


def fixed(metrics: Mapping[str, Any]) -> Score:
    """A floor: a known number without replicates."""
    return Score(n=0, mean=metrics_json.number(metrics, "baseline"))


def _scores(layout: ProjectPaths, metric: str) -> dict[str, Score]:
    """Arm → its numbers in results/replicates.csv."""
    found: dict[str, list[float]] = {}
    diverged: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO(files.read_bytes(layout.replicates).decode())):
        if row.get("same_as"):  # the same predictions are one replicate
            continue
        if row["status"] == "ok":
            found.setdefault(row["arm"], []).append(float(row[metric]))
        else:
            diverged[row["arm"]] = diverged.get(row["arm"], 0) + 1
    return {arm: score(values, diverged.get(arm, 0)) for arm, values in found.items()}


def score(values: list[float], diverged: int) -> Score:
    """Mean and spread of one group's finite values."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values)
    sd = (spread / (len(values) - 1)) ** 0.5 if len(values) > 1 else None
    return Score(n=len(values), mean=mean, sd=sd, diverged=diverged)


def settled(
    measuring: Confirmation,
    new: FreshReplicates,
    old: FreshReplicates | None,
    tree: tuple[Mapping[str, Any], str, str],
    attempt: AttemptEntry,
    allow: Collection[str],
) -> tuple[str, RecordedComparison, bool]:
    """What fresh replicates say, in words and as evidence, and whether that is enough; `tree`: metrics, the baseline's
    name, the metric version. A starting point is compared with nothing."""
    metrics, against, version = tree
    if FIRST in allow:
        text = f"a starting point, no gain is claimed: {alone(new.values, measuring.metric.name, version)}"
        return text, RecordedComparison(verdict="inconclusive", candidate=new.score), bool(new.values)
    judged = judge(measuring, new, old, metrics, attempt)
    text = verdict_lines(judged, measuring.metric.name, against, version)
    return text, comparison(judged, new, old, metrics, attempt.level), confirmed(judged, allow)


def judge(
    measuring: Confirmation,
    new: FreshReplicates,
    old: FreshReplicates | None,
    metrics: Mapping[str, Any],
    attempt: AttemptEntry,
) -> Judged:
    """Welch on different seeds, or the declared paired design on shared ones."""
    floor, worst, diverged = metrics_json.number(metrics, "baseline"), measuring.metric.worst, (0, new.diverged)
    assert old is not None or floor is not None
    first: float | list[float] = float(floor or 0.0)
    second, test = new.values, "welch"
    if old is not None:
        first, diverged = old.values, (old.diverged, new.diverged)
        if measuring.seeds.purpose == PAIRED_PURPOSE:
            first, second, test = *_pairs(old, new, worst), "paired"
    placed = test == "paired" and worst is not None  # diverged ones are in their places already
    lists = [second, *([first] if isinstance(first, list) else [])]
    judged = confirmation_rule.confirm(
        first,
        second,
        measuring.metric.direction,
        attempt.attempt,
        diverged=(0, 0) if placed else diverged,
        worst=worst,
        min_effect=measuring.metric.min_effect,
        confirmation=attempt.confirmation,
        test=test,
        fixed=measuring.ctx.params.task.fixed and any(len(set(each)) == 1 for each in lists),
        distinct=True,
    )
    judged = entered(judged, diverged) if placed else judged
    return _with_doubts(judged, {"candidate": new, "baseline": old})


def _pairs(old: FreshReplicates, new: FreshReplicates, worst: float | None) -> tuple[list[float], list[float]]:
    """Values of both arms by number, those that both have."""
    first, second = old.placed(worst), new.placed(worst)
    both = [number for number in first if number in second]
    return [first[number] for number in both], [second[number] for number in both]


def _with_doubts(judged: Judged, groups: Mapping[str, FreshReplicates | None]) -> Judged:
    """With a caution for each arm whose replicates repeat each other."""
    found = [(arm, group.repeats, len(group.measurement.replicates)) for arm, group in groups.items() if group]
    doubts = [cautions.counted_once(arm, runs, runs - repeats) for arm, repeats, runs in found if repeats]
    return replace(judged, warnings=(*judged.warnings, *doubts))


def confirmed(judged: Judged, allow: Collection[str]) -> bool:
    """Progress; for a simplification it is enough that a loss that matters is excluded."""
    return judged.verdict == "progress" or ("equivalent" in allow and judged.no_regression)


def comparison(
    judged: Judged, new: FreshReplicates, old: FreshReplicates | None, metrics: Mapping[str, Any], level: float
) -> RecordedComparison:
    finite = all(abs(end) < float("inf") for end in judged.ci)
    return RecordedComparison(
        verdict=judged.verdict,
        candidate=new.score,
        baseline=old.score if old else fixed(metrics),
        delta=judged.delta,
        ci_low=judged.ci[0] if finite else None,
        ci_high=judged.ci[1] if finite else None,
        p=judged.p,
        alpha=level,
        correlation=judged.correlation,
    )
