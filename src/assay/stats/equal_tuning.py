"""Equal tuning: a candidate at its best value against the baseline at every value, so that tuning is no gain.

Covers: which values of the candidate deserve more search seeds, how many fresh ones the judgement takes, the verdict.
To beat the baseline at its own best value is to beat it at every value, and for that each comparison may err alpha: an
intersection-union test (Berger 1982, Technometrics 24:295) needs no correction, whatever was chosen on seeds that do
not judge. Choosing each arm's best and comparing the two errs. Not covered: running it (`commands.tune`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from assay.stats import compare_arms, multiple_comparisons, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm
from assay.stats.difference_estimate import t_quantile

#: search seeds of a value at each round; after the first, contenders alone go on
ROUNDS = (3, 6, 12)
#: a contender is within so many standard errors (of a difference) of the best value
CLOSE = 1.0
#: chance to beat all values for a gain of so many sd, which the number of fresh replicates is chosen for
POWER, GAIN = 0.97, 2.0
_NODES, _WEIGHTS = special.roots_hermitenorm(40)


@dataclass(frozen=True)
class Rival:
    """The baseline at one value; `name` says which."""

    name: str
    comparison: Comparison


@dataclass(frozen=True)
class TuningVerdict:
    """`verdict`: progress where the candidate beats every rival, regression where one of them beats it (by Holm)."""

    verdict: str
    rivals: list[Rival]

    @property
    def unbeaten(self) -> list[str]:
        """Rivals that the candidate is not shown to beat."""
        return [one.name for one in self.rivals if one.comparison.verdict != "progress"]

    def best(self, direction: str) -> str:
        """The rival with the best mean."""
        means = {one.name: mean for one in self.rivals if (mean := one.comparison.baseline.mean) is not None}
        return verdict_rule.best(means, direction) if means else self.rivals[0].name


def standing(arm: MeasuredArm, worst: float | None) -> float | None:
    """What a value is chosen by: the mean over its search seeds. None where a run diverged and no worst is named."""
    if arm.diverged and worst is None:
        return None
    values = list(arm.placed(worst).values())
    return float(np.mean(values)) if values else None


def contenders(search: Mapping[str, MeasuredArm], direction: str, worst: float | None, n: int) -> list[str]:
    """Values measured at n search seeds that are too close to the best to be left; only it where none is.

    The spread is pooled over them.
    """
    means = {name: mean for name, arm in search.items() if (mean := standing(arm, worst)) is not None}
    if not means:
        return []
    best = verdict_rule.best(means, direction)
    spreads = [np.var(list(search[name].placed(worst).values()), ddof=1) for name in means]
    close = CLOSE * math.sqrt(2 * float(np.mean(spreads)) / n)
    return [name for name, mean in means.items() if abs(mean - means[best]) <= close]


def chosen(search: Mapping[str, MeasuredArm], direction: str, worst: float | None) -> str:
    """The best of values that were measured at one number of seeds."""
    means = {name: mean for name, arm in search.items() if (mean := standing(arm, worst)) is not None}
    return verdict_rule.best(means, direction)


def replicates(rivals: int, level: float, least: int) -> int:
    """Fresh replicates an arm with which a gain of 2 sd over every rival is shown with 97 %; at least `least`, and 2.

    By the normal approximation: all rivals are as good, and the candidate's own luck is shared by all comparisons.
    """
    n = max(least, 2)
    while True:
        shift = GAIN * math.sqrt(n) - float(t_quantile(level, 2 * n - 2)) * math.sqrt(2)
        beats = special.ndtr(shift + _NODES) ** rivals
        if float(_WEIGHTS @ beats / _WEIGHTS.sum()) >= POWER:
            return n
        n += 1


def judged(
    candidate: MeasuredArm,
    rivals: Mapping[str, MeasuredArm],
    direction: str,
    *,
    test: str,
    level: float,
    min_effect: float,
    worst: float | None,
    distinct: bool = False,
) -> TuningVerdict:
    """The candidate's fresh replicates against those of every rival, each at `level`."""
    found = [
        Rival(
            name,
            compare_arms.compare_arms(
                arm,
                candidate,
                direction,
                test=test,
                alpha=level,
                min_effect=min_effect,
                worst=worst,
                distinct=distinct,
            ),
        )
        for name, arm in rivals.items()
    ]
    return TuningVerdict(_word([one.comparison for one in found], level), found)


def _word(found: Sequence[Comparison], level: float) -> str:
    words = [one.verdict for one in found]
    if words and all(word == "progress" for word in words):
        return "progress"
    adjusted = multiple_comparisons.holm([1.0 if one.reason else one.p for one in found])
    lost = any(word == "regression" and p <= level for word, p in zip(words, adjusted, strict=True))
    return "regression" if lost else "inconclusive"
