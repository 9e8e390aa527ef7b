"""Results that look like a bug: no better than a trivial baseline, or with replicates that diverged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assay.metrics.floor_scores import HUMAN
from assay.metrics.scored_arm import Scored
from assay.stats import verdict_rule

HINT = "next: assay doctor"


def lines(candidate: Scored, floors: Mapping[str, Mapping[str, float]], metric: str, direction: str) -> Iterator[str]:
    """At most one line, which ends in HINT: a bug comes before tuning. A person's score is no floor to fall below."""
    values = candidate.values(metric)
    floors = {name: scores for name, scores in floors.items() if name != HUMAN}
    reasons = []
    if beaten := below(values, {name: one[metric] for name, one in floors.items() if metric in one}, direction):
        reasons.append(f"the candidate is no better than floor {beaten}")
    if candidate.diverged:
        reasons.append(f"{candidate.diverged} of {len(candidate.replicates)} replicates diverged")
    if reasons:
        yield f"{', and '.join(reasons)}: look for a bug before tuning; {HINT}"


def below(values: Sequence[float], floors: Mapping[str, float], direction: str) -> str:
    """The best of the floors that the mean of `values` does not beat; "" where it beats all, or there are none."""
    if not values or not floors:
        return ""
    best, mean = verdict_rule.best(floors, direction), sum(values) / len(values)
    return "" if verdict_rule.sign(direction) * (mean - floors[best]) > 0 else best
