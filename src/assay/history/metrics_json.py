"""From the flat numbers of `results/metrics.json` to a comparison; whatever else stands there is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.core.metric_version import metric_name
from assay.history.replicates_rows import OVERLAP
from assay.stats.arm_scores import mean_and_sd
from assay.stats.compare_arms import MeasuredArm
from assay.tags.strategy_events import RecordedComparison, Score


def text(metrics: Mapping[str, Any], key: str) -> str:
    """The string at `key`, "" where there is none."""
    value = metrics.get(key)
    return value if isinstance(value, str) else ""


def number(metrics: Mapping[str, Any], key: str) -> float | None:
    """The number at `key`, None where there is none."""
    value = metrics.get(key)
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:  # an integer of 400 digits, which no metric gives
        return None


def comparison(metrics: Mapping[str, Any]) -> RecordedComparison | None:
    """The verdict in `metrics` and its numbers; None when no verdict was reached."""
    verdict = text(metrics, "verdict")
    if not verdict:
        return None
    return RecordedComparison(
        verdict=verdict,
        candidate=candidate(metrics),
        delta=number(metrics, "delta"),
        ci_low=number(metrics, "ci_low"),
        ci_high=number(metrics, "ci_high"),
        p=number(metrics, "p"),
        overlap=number(metrics, OVERLAP),
    )


def score(arm: MeasuredArm) -> Score:
    """The numbers of one group as evidence holds them."""
    mean, sd = mean_and_sd(arm.values)
    return Score(n=len(arm.values), mean=mean, sd=sd, diverged=arm.diverged)


def candidate(metrics: Mapping[str, Any]) -> Score:
    """The candidate group's own numbers."""
    metric = metric_name(text(metrics, "metric_version"))
    return Score(
        n=int(number(metrics, "n") or 0),
        mean=number(metrics, metric),
        sd=number(metrics, "sd"),
        diverged=int(number(metrics, "diverged") or 0),
    )
