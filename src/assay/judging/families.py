"""Many comparisons: within a declared family, and against the same baseline over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from assay.words.errors import UsageError


class Given(NamedTuple):
    """A verdict that was given: by an experiment, a tag or a record in Git."""

    strategy: str  # what was measured: a commit, or an identity's hash
    baseline: str
    metric_version: str
    replicates: int


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p in the given order; rejecting those ≤ alpha errs in the whole family at most alpha (Holm 1979).

    Scandinavian Journal of Statistics 6:65. Raises UsageError for a p outside 0 to 1.
    """
    for value in p:
        if not 0 <= value <= 1:
            raise UsageError(f"p is {value}", allowed="0 to 1")
    adjusted, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def against(records: Iterable[Given], baseline: str, metric_version: str) -> int:
    """How many strategies already have a verdict against this baseline under this metric version.

    The same strategy found twice (as an experiment and as a tag, or with more seeds) counts once here: looks at
    one strategy are paid for in `sequential`.
    """
    return len({r.strategy for r in records if r.baseline == baseline and r.metric_version == metric_version})


def earlier(records: Iterable[Given], strategy: str, baseline: str, metric_version: str) -> list[int]:
    """Replicates at each earlier verdict on this strategy, ascending and each once: the looks already taken."""
    return sorted({r.replicates for r in records if r[:3] == (strategy, baseline, metric_version)})
