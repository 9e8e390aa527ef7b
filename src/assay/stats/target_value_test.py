"""The target rule: is a mean shown to be at least as good as a number fixed beforehand?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.core.errors import UsageError
from assay.stats import verdict_rule
from assay.stats.arm_comparison import compare
from assay.stats.arm_scores import Values

ALPHA = 0.01  # what speedrun records ask for: mean at most X at p < 0.01


@dataclass(frozen=True)
class Target:
    """`p` is one-sided: of a mean this good when the truth is exactly the target."""

    met: bool
    p: float
    mean: float | None
    n: int
    target: float
    alpha: float
    reason: str  # why nothing can be shown; "" where it can
    warnings: tuple[str, ...]


def reaches(
    values: Sequence[float] | Values, target: float, direction: str, *, alpha: float = ALPHA, diverged: int = 0
) -> Target:
    """Whether the mean of (n,) runs is at most `target` (at least, when maximizing) at p < alpha, by a one-sample t."""
    if isinstance(values, (int, float)):
        raise UsageError(f"the runs are one fixed value, {values}", allowed="a list of runs")
    found = compare(float(target), values, direction, alpha=2 * alpha, diverged_candidate=diverged)
    side = found.delta is not None and found.delta * verdict_rule.sign(direction) > 0
    p = found.p / 2 if side else 1 - found.p / 2
    met = not found.reason and p < alpha
    summary = found.candidate
    return Target(met, 1.0 if found.reason else p, summary.mean, summary.n, target, alpha, found.reason, found.warnings)
