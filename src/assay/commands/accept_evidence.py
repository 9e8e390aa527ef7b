"""The numbers of an acceptance: selection as the regenerated results say it, confirmation as it was judged.

Covers: from replicates and verdicts to what the evidence holds. Not covered: measuring, deciding what next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from assay.acceptance.confirmation_run import PAIRED_PURPOSE, Confirmation, FreshReplicates
from assay.commands.accept_checks import FIRST
from assay.core.metric_version import metric_name
from assay.core.paths import ProjectPaths
from assay.history import metrics_json, replicates_csv
from assay.history.attempt_and_family_entries import AttemptEntry
from assay.report.comparison_text import alone, verdict_lines
from assay.runtime import files
from assay.stats import cautions, confirmation_rule
from assay.stats.arm_comparison import Comparison as Judged
from assay.stats.compare_arms import PAIRED, RESAMPLED
from assay.tags.strategy_events import RecordedComparison, Score


def selected(layout: ProjectPaths, metrics: Mapping[str, Any]) -> RecordedComparison:
    """The comparison in the results of the project at `layout`, both arms with their spread."""
    found = metrics_json.comparison(metrics)
    assert found is not None  # a verdict was checked
    scores = _scores(layout, metric_name(metrics_json.text(metrics, "metric_version")))
    return msgspec.structs.replace(found, baseline=scores.get("baseline") or fixed(metrics))


def fixed(metrics: Mapping[str, Any]) -> Score:
    """A floor: a known number without replicates."""
    return Score(n=0, mean=metrics_json.number(metrics, "baseline"))


def _scores(layout: ProjectPaths, metric: str) -> dict[str, Score]:
    """Arm → its numbers in results/replicates.csv."""
    rows = replicates_csv.rows(files.read_bytes(layout.replicates))
    arms = {name: replicates_csv.arm(rows, name, metric) for name in {row["arm"] for row in rows}}
    return {name: metrics_json.score(arm) for name, arm in arms.items()}


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
        text = f"a starting point, no gain is claimed: {alone(new.arm.values, measuring.metric.name, version)}"
        return text, RecordedComparison(verdict="inconclusive", candidate=new.score), bool(new.arm.values)
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
    """Welch on different seeds, the declared paired design on shared ones, or the corrected t on splits drawn anew."""
    floor = metrics_json.number(metrics, "baseline")
    paired = old is not None and measuring.seeds.purpose == PAIRED_PURPOSE
    test = RESAMPLED if new.arm.overlap is not None else PAIRED if paired else "welch"
    assert old is not None or floor is not None
    judged = confirmation_rule.confirm(
        old.arm if old is not None else float(floor or 0.0),
        new.arm,
        measuring.metric.direction,
        attempt.attempt,
        confirmation=attempt.confirmation,
        worst=measuring.metric.worst,
        min_effect=measuring.metric.min_effect,
        test=test,
        fixed=measuring.ctx.params.task.fixed,
        distinct=True,
    )
    return _with_doubts(judged, {"candidate": new, "baseline": old})


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
        overlap=new.arm.overlap,
    )
