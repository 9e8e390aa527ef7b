"""Numbers beside a verdict: the effect in standard deviations, chance to win, divergence, correlation of pairs.

None of them decides anything; docs/judge.md says when not to believe each.
"""

from __future__ import annotations

import math

import numpy as np

from assay.stats import diverged_runs_test, verdict_rule
from assay.stats.arm_scores import ArmScores, Values


def superiority(baseline: Values, candidate: Values, direction: str) -> float:
    """Chance that a candidate run beats a baseline run, ties counting half (Vargha & Delaney 2000, JEBS 25:101).

    The share of all (n, m) pairs: no shape is assumed.
    """
    ordered = np.sort(baseline)
    below = np.searchsorted(ordered, candidate, "left") + np.searchsorted(ordered, candidate, "right")
    share = float(np.mean(below)) / 2 / len(baseline)
    return share if verdict_rule.sign(direction) > 0 else 1 - share


def in_sd(delta: float | None, baseline: ArmScores, candidate: ArmScores) -> float | None:
    """The difference over the root mean of both variances; None where there is no spread."""
    variances = [arm.variance for arm in (baseline, candidate) if not arm.fixed]
    if delta is None or None in variances or not any(variances):
        return None
    return delta / math.sqrt(sum(v for v in variances if v is not None) / len(variances))


def fisher_p(baseline: ArmScores, candidate: ArmScores, entered: bool) -> float | None:
    """Fisher's p of equal divergence; None where nothing diverged. `entered`: n holds the diverged runs already."""
    if baseline.fixed or candidate.fixed or not (baseline.diverged or candidate.diverged):
        return None
    total_b = baseline.n + (0 if entered else baseline.diverged)
    total_c = candidate.n + (0 if entered else candidate.diverged)
    return diverged_runs_test.fisher(baseline.diverged, total_b, candidate.diverged, total_c)


def correlation(baseline: ArmScores, candidate: ArmScores) -> float | None:
    """Pearson's r of the pairs; None where an arm has no spread."""
    if baseline.n != candidate.n or not baseline.variance or not candidate.variance:
        return None
    return float(np.corrcoef(baseline.values, candidate.values)[0, 1])
