"""Is a published number reproduced? A one-sample equivalence: where does the interval of the mean lie around ±margin?

Covers: the word, and how many runs more would show it. The interval is that of `compare` against a fixed value; inside
the margin it is Schuirmann's two one-sided tests (1987, J. Pharmacokinet. Biopharm. 15:657), each at alpha / 2. Not
covered: where references stand (`core.references_section`), what to look at (`report.reference_text`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy import special

from assay.stats import anytime_valid_test, compare_arms, statistical_power
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm
from assay.stats.corrected_resampled_ttest import widened
from assay.stats.difference_estimate import t_quantile

#: `reproduced`: the interval lies inside ±margin; `above`, `below`: it lies outside on that side
ReferenceWord = Literal["reproduced", "above", "below", "not yet shown"]
#: beyond so many runs nobody waits
MOST = 100_000
_NODES, _WEIGHTS = special.roots_legendre(64)  # the chance is right to 0.02 points
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


@dataclass(frozen=True)
class ReferenceFinding:
    """`comparison`: the mean against the value. `n_needed`: runs that show equal means with 80 % chance."""

    word: ReferenceWord
    comparison: Comparison
    n_needed: int | None  # None where no spread is known, or too many would be needed

    @property
    def more(self) -> int | None:
        """Runs that are missing to `n_needed`; 0 where there are as many already."""
        return None if self.n_needed is None else max(0, self.n_needed - self.comparison.candidate.n)


def against_reference(
    arm: MeasuredArm,
    value: float,
    margin: float,
    direction: str,
    *,
    test: str = "welch",
    alpha: float = 0.05,
    worst: float | None = None,
    hold: str = "",
    fixed: bool = False,
) -> ReferenceFinding:
    """Whether the mean of an arm's replicates is `value`, up to `margin` > 0 in the metric's units.

    Options as in `compare_arms`. Above and below are those of the number line, whatever the direction.
    """
    test = compare_arms.fitting_test(test, fixed_value=True)
    found = compare_arms.compare_arms(
        value,
        arm,
        direction,
        test=test,
        alpha=alpha,
        min_effect=margin,
        worst=worst,
        hold=hold,
        fixed=fixed,
        distinct=True,
    )
    return ReferenceFinding(_word(found, margin), found, _needed(found, margin, test, arm.overlap))


def _word(found: Comparison, margin: float) -> ReferenceWord:
    low, high = found.ci
    if found.reason:
        return "not yet shown"
    if -margin < low and high < margin:
        return "reproduced"
    if low >= margin:
        return "above"
    return "below" if high <= -margin else "not yet shown"


def chance(margin: float, sd: float, n: int, alpha: float, test: str = "welch", overlap: float | None = None) -> float:
    """How likely n runs of this sd show a mean that equals the value: the interval then lies inside ±margin.

    The mean and the sample variance are independent, so that what is left is one integral over the variance (Owen
    1965, Biometrika 52:437), in quantiles. `overlap`: of splits, as in `stats.corrected_resampled_ttest`.
    """
    sd = widened(sd, n, overlap)
    critical = anytime_valid_test.critical(n, alpha) if test == "anytime" else float(t_quantile(alpha, n - 1))
    if math.isinf(critical):
        return 0.0
    spreads = np.sqrt(2 * special.gammaincinv((n - 1) / 2, _NODES) / (n - 1))  # sample sd over sd
    room = math.sqrt(n) * margin / sd - critical * spreads
    return float(_WEIGHTS @ np.where(room > 0, 2 * special.ndtr(room) - 1, 0.0))


def _needed(found: Comparison, margin: float, test: str, overlap: float | None) -> int | None:
    sd = found.candidate.sd
    if not sd or found.candidate.fixed:
        return None
    if chance(margin, sd, MOST, found.alpha, test, overlap) < statistical_power.POWER:
        return None
    guess = math.ceil((2.8 * sd / margin) ** 2) + 1
    curve = partial(_curve, sd=sd, alpha=found.alpha, test=test, overlap=overlap)
    return statistical_power.n_for(curve, margin, max(2, min(guess, MOST)))


def _curve(margin: float, n: int, *, sd: float, alpha: float, test: str, overlap: float | None) -> float:
    return chance(margin, sd, n, alpha, test, overlap)
