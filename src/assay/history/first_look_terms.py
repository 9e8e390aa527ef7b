"""The terms of the first look at an idea against a floor, by which every later look at it is judged.

A floor has no record of its own that could say direction, smallest effect and worst value, as a baseline has. Covers:
finding them in the ledger. Not covered: what else defines a metric (`metrics.metric_definition`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from msgspec import UNSET

from assay.history import look_ledger
from assay.metrics.metric_definition import MetricTerms
from assay.stats.alpha_budget import LookEntry, labels, names


def first(home: Path, called: Collection[str], baseline: str, metric: str) -> MetricTerms | None:
    """By which terms the strategy with one of the names `called` was first judged under `metric` against `baseline`.

    None where nobody looked yet, or all looks are of before terms were recorded.
    """
    account = [
        one for one in look_ledger.read(home).looks if one.baseline == baseline and not names(one).isdisjoint(called)
    ]
    found = [(one, terms) for one in account if labels(one.key.metric, metric) and (terms := _terms(one))]
    # No entry has a date. The first look is the one with most of alpha; of two clones' the smaller effect counts.
    return min(found, key=lambda pair: (-pair[0].level, pair[1].min_effect), default=(None, None))[1]


def _terms(entry: LookEntry) -> MetricTerms | None:
    if entry.direction is UNSET or entry.min_effect is UNSET:
        return None
    return MetricTerms(entry.direction, entry.min_effect, None if entry.worst is UNSET else entry.worst)
