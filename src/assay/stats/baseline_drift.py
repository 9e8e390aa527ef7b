"""The number that a strategy was accepted with beside today's, where another version of the library trains it.

Not a verdict: both are of the same strategy, and the verdict is given on what was measured today.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.stats import difference_estimate
from assay.stats.arm_scores import Values, mean_and_sd


@dataclass(frozen=True)
class Drift:
    """Then and today in the metric's unit: means, spreads, numbers of replicates; `p` of no difference, None where the
    numbers cannot tell."""

    then: tuple[float, float | None, int]
    today: tuple[float, float | None, int]
    p: float | None

    @property
    def delta(self) -> float:
        return self.today[0] - self.then[0]


def drift(then: tuple[float, float | None, int], values: Values) -> Drift:
    """`then` is mean, standard deviation and n as the tag has them; `values` are today's (n,), at least one."""
    mean, sd, n = then
    mean_today, sd_today = mean_and_sd(values)
    assert mean_today is not None
    today = mean_today, sd_today, len(values)
    p = None
    if sd is not None and today[1] is not None and (sd or today[1]):
        p = float(difference_estimate.welch(today[0] - mean, sd**2, n, today[1] ** 2, today[2]).p)
    return Drift(then, today, p)
