"""The numbers of an acceptance: selection as the regenerated results say it, confirmation as it was judged.

Covers: from replicates and verdicts to what the evidence holds. Not covered: measuring, deciding what next.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from assay.evidence.events import Comparison, Score
from assay.history import numbers
from assay.judging import selection
from assay.judging.attempts import AttemptEntry
from assay.judging.compare import Comparison as Judged
from assay.outside import files
from assay.verbs.confirming import Confirmation, Group
from assay.words.layout import Layout


def selected(layout: Layout, metrics: Mapping[str, Any]) -> Comparison:
    """The comparison in the results of the project at `layout`, both arms with their spread."""
    found = numbers.comparison(metrics)
    assert found is not None  # a verdict was checked
    scores = _scores(layout, numbers.metric_of(numbers.text(metrics, "metric_version")))
    return msgspec.structs.replace(found, baseline=scores.get("baseline") or fixed(metrics))


def fixed(metrics: Mapping[str, Any]) -> Score:
    """A floor: a known number without replicates."""
    return Score(n=0, mean=numbers.number(metrics, "baseline"))


def _scores(layout: Layout, metric: str) -> dict[str, Score]:
    """Arm → its numbers in results/replicates.csv."""
    found: dict[str, list[float]] = {}
    diverged: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO(files.read_bytes(layout.replicates).decode())):
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


def judge(
    measuring: Confirmation, new: Group, old: Group | None, metrics: Mapping[str, Any], attempt: AttemptEntry
) -> Judged:
    floor = numbers.number(metrics, "baseline")
    assert old is not None or floor is not None
    return selection.confirm(
        old.values if old else float(floor or 0.0),
        new.values,
        measuring.metric.direction,
        attempt.attempt,
        diverged=(old.diverged if old else 0, new.diverged),
        worst=measuring.metric.worst,
        min_effect=measuring.metric.min_effect,
        confirmation=attempt.confirmation,
    )


def confirmed(judged: Judged, allow: Collection[str]) -> bool:
    """Progress; for a simplification it is enough that a loss that matters is excluded."""
    return judged.verdict == "progress" or ("equivalent" in allow and judged.no_regression)


def comparison(judged: Judged, new: Group, old: Group | None, metrics: Mapping[str, Any], level: float) -> Comparison:
    finite = all(abs(end) < float("inf") for end in judged.ci)
    return Comparison(
        verdict=judged.verdict,
        candidate=new.score,
        baseline=old.score if old else fixed(metrics),
        delta=judged.delta,
        ci_low=judged.ci[0] if finite else None,
        ci_high=judged.ci[1] if finite else None,
        p=judged.p,
        alpha=level,
    )
