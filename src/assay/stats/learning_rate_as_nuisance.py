"""One value of a parameter against the centre's, each at several learning rates, on shared seeds.

A batch size that is compared at the rate of another one mostly shows that its rate is wrong. So a value is better
where at one of its rates it beats the centre's value at all of the centre's rates, and worse the other way round.
Covers: that test (intersection-union over the rivals, Bonferroni over the own rates), rates to try. Pure. Not covered:
running them (`commands.batch_size_rates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assay.stats import compare_arms, equal_tuning, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm


@dataclass(frozen=True)
class BestOfRates:
    """`p`: two-sided, of the rates together. `alone`: the best of the value's rates against the best of the centre's,
    which luck has picked: its difference is for reading, and `p` decides."""

    p: float
    better: bool  # which side of 0 p is about
    alone: Comparison
    rate: float  # best of the value's
    centre_rate: float


@dataclass(frozen=True)
class PairedRule:
    """How two arms are compared, as in `compare_arms.compare_arms`."""

    direction: str
    alpha: float
    min_effect: float
    worst: float | None
    distinct: bool

    def compared(self, baseline: MeasuredArm, candidate: MeasuredArm) -> Comparison:
        return compare_arms.compare_arms(
            baseline,
            candidate,
            self.direction,
            test=compare_arms.PAIRED,
            alpha=self.alpha,
            min_effect=self.min_effect,
            worst=self.worst,
            distinct=self.distinct,
        )


def best_of_rates(
    centre: Mapping[float, MeasuredArm], value: Mapping[float, MeasuredArm], rule: PairedRule
) -> BestOfRates | None:
    """`centre`, `value`: learning rate → replicates on the same seeds. None where one side diverges at every rate."""
    ours, theirs = (_trained(arms, rule.worst) for arms in (value, centre))
    if not ours or not theirs:
        return None
    toward = verdict_rule.sign(rule.direction)
    one_sided = {(a, b): _one_sided(rule.compared(theirs[b], ours[a]), toward) for a in ours for b in theirs}
    better = len(ours) * min(max(one_sided[a, b] for b in theirs) for a in ours)
    worse = len(theirs) * min(max(1 - one_sided[a, b] for a in ours) for b in theirs)
    best, other = (_best(arms, toward, rule.worst) for arms in (ours, theirs))
    alone = rule.compared(theirs[other], ours[best])
    return BestOfRates(min(1.0, 2 * min(better, worse)), better <= worse, alone, best, other)


def rates(rate: float, ratio: float) -> list[float]:
    """Rates for a batch `ratio` times as large: as it is, by the root, in proportion (Adam, and SGD, in theory)."""
    found = [float(f"{rate * factor:.2g}") for factor in (1.0, ratio**0.5, ratio)]
    return list(dict.fromkeys([rate, *found[1:]]))


def expected(rate: float, ratio: float, optimizer: str) -> str:
    """What theory expects of the rate, for a batch `ratio` times as large."""
    root, linear = (f"{rate * factor:.2g}" for factor in (ratio**0.5, ratio))
    if optimizer.startswith("sgd"):
        return f"lr {linear} (in proportion, Goyal 2017), {root} where noise no longer leads"
    return f"lr {root} (by the root, Malladi 2022), up to {linear}"


def _trained(arms: Mapping[float, MeasuredArm], worst: float | None) -> dict[float, MeasuredArm]:
    return {rate: arm for rate, arm in arms.items() if arm.replicates and (worst is not None or not arm.diverged)}


def _one_sided(found: Comparison, toward: float) -> float:
    """p of "not better". Where nothing can be said, it is a coin."""
    if found.reason or found.delta is None:
        return 0.5
    return found.p / 2 if found.delta * toward > 0 else 1 - found.p / 2


def _best(arms: Mapping[float, MeasuredArm], toward: float, worst: float | None) -> float:
    return max(arms, key=lambda rate: toward * (equal_tuning.standing(arms[rate], worst) or 0.0))
