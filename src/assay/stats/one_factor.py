"""One factor at a time around a centre, on shared seeds: which parameters matter, and where to tune them.

Covers: paired comparisons of each level with the centre, adjusted over all of them (Holm 1979), what they say of a
parameter in words, the range that is worth tuning. Not covered: interactions, which no such design can see.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.stats import multiple_comparisons, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm
from assay.stats.learning_rate_as_nuisance import BestOfRates, PairedRule

#: a parameter and one of its values
LevelKey = tuple[str, object]
MATTERS, IDLE, UNSHOWN = "matters", "does not matter", "not shown"


@dataclass(frozen=True)
class FactorLevel:
    """One value of one parameter against the centre. `alone` is its own paired comparison, at alpha.

    `bound`: what the difference is below, in size, for all levels together at 1 - alpha; infinite where nobody knows.
    """

    key: str
    value: object
    alone: Comparison | None  # None where it did not run
    p_holm: float
    verdict: str  # within the family; "fails" where it did not run or some replicates diverged
    bound: float
    beside: str = ""  # learning rates of centre and value, where each was tried at several


@dataclass(frozen=True)
class Factor:
    """One parameter: its levels from low to high around the value of the centre, and what follows.

    `effect`: the largest shown difference, in size. `toward`: 1 where higher is better, -1 where lower is, 0 else.
    """

    key: str
    centre: object
    levels: tuple[FactorLevel, ...]
    word: str
    effect: float
    toward: int
    range: tuple[object, object] | None  # worth tuning; None where nothing is shown, or values have no order


def one_factor(
    centre: MeasuredArm,
    levels: Mapping[LevelKey, MeasuredArm | None],
    at: Mapping[str, object],
    direction: str,
    *,
    alpha: float,
    min_effect: float,
    worst: float | None,
    distinct: bool = False,
    beside: Mapping[LevelKey, BestOfRates] | None = None,
) -> list[Factor]:
    """Parameters in order of their effect. `levels`: None for a value that did not run, which counts as tried.

    `at`: parameter → its value in the centre. `beside`: values that were tried at several learning rates, and are
    judged by all of them. Others as in `compare_arms.compare_arms`.
    """
    rated = beside or {}

    def compared(level: MeasuredArm, at_level: float) -> Comparison:
        return PairedRule(direction, at_level, min_effect, worst, distinct).compared(centre, level)

    ran = {key: arm for key, arm in levels.items() if arm is not None or key in rated}
    alone = {key: rated[key].alone if key in rated else compared(_there(arm), alpha) for key, arm in ran.items()}
    p = [rated[key].p if key in rated else 1.0 if found.reason else found.p for key, found in alone.items()]
    adjusted = dict(zip(alone, multiple_comparisons.holm([*p, *[1.0] * (len(levels) - len(ran))]), strict=False))
    strict = {
        key: alone[key] if key in rated else compared(_there(arm), alpha / max(1, len(levels)))
        for key, arm in ran.items()
    }
    found = [
        _rated(key, rated[key], adjusted[key], alpha, direction)
        if key in rated
        else _level(key, alone.get(key), adjusted.get(key, 1.0), strict.get(key), alpha)
        for key in levels
    ]
    factors = [_factor(key, at[key], [one for one in found if one.key == key], direction) for key in at]
    return sorted(factors, key=lambda one: (one.word != MATTERS, -one.effect, one.word == IDLE))


def _there(arm: MeasuredArm | None) -> MeasuredArm:
    assert arm is not None
    return arm


def _rated(key: LevelKey, found: BestOfRates, p_holm: float, alpha: float, direction: str) -> FactorLevel:
    """A value at its best rate: a difference is shown by all rates together; that there is none is never claimed."""
    gain = (found.alone.delta or 0.0) * verdict_rule.sign(direction) > 0
    shown = p_holm <= alpha and gain == found.better
    word = ("progress" if found.better else "regression") if shown else "inconclusive"
    beside = f"lr {found.centre_rate:g} → {found.rate:g}"
    return FactorLevel(*key, found.alone, p_holm, word, math.inf, beside)


def _level(
    key: LevelKey, alone: Comparison | None, p_holm: float, strict: Comparison | None, alpha: float
) -> FactorLevel:
    if alone is None or strict is None:
        return FactorLevel(*key, None, 1.0, "fails", math.inf)
    diverged = alone.candidate.diverged > alone.baseline.diverged and not alone.entered
    word = multiple_comparisons.decided(alone.verdict, p_holm, alpha, strict.verdict)
    bound = max(abs(end) for end in strict.ci)
    return FactorLevel(*key, alone, p_holm, "fails" if diverged else word, bound)


def _factor(key: str, centre: object, levels: Sequence[FactorLevel], direction: str) -> Factor:
    shown = [one for one in levels if one.verdict in ("progress", "regression", "fails")]
    effect = max((abs(one.alone.delta or 0.0) for one in shown if one.alone), default=0.0)
    if shown:
        gains = {one: one.alone.delta or 0.0 for one in shown if one.alone and one.verdict == "progress"}
        best = max(gains, key=lambda one: verdict_rule.sign(direction) * gains[one], default=None)
        toward = _side(best.value, centre) if best else 0
        return Factor(key, centre, tuple(levels), MATTERS, effect, toward, _range(centre, levels, toward))
    idle = bool(levels) and all(one.verdict == "equivalent" for one in levels)
    return Factor(key, centre, tuple(levels), IDLE if idle else UNSHOWN, 0.0, 0, None)


def _side(value: object, centre: object) -> int:
    """Whether a value lies above the centre (1) or below it (-1); 0 where there is no order."""
    if not _is_number(value) or not _is_number(centre):
        return 0
    return 1 if float(value) > float(centre) else -1  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(centre: object, levels: Sequence[FactorLevel], toward: int) -> tuple[object, object] | None:
    """Where the best value may lie: on the better side, else away from the side that is shown to be worse."""
    sides = {side: [one for one in levels if _side(one.value, centre) == side] for side in (-1, 1)}
    if not _is_number(centre) or not (sides[-1] or sides[1]):
        return None
    worse = {side: any(one.verdict in ("regression", "fails") for one in found) for side, found in sides.items()}
    low, high = (_end(sides[side], side, centre) for side in (-1, 1))
    if toward:  # the best value may lie beyond the one that was tried
        return (centre, beyond(high, centre)) if toward > 0 else (beyond(low, centre), centre)
    if worse[-1] != worse[1]:
        return (low, centre) if worse[1] else (centre, high)
    return low, high


def _end(levels: Sequence[FactorLevel], side: int, centre: object) -> object:
    """The farthest value on one side, the centre where there is none."""
    values = [one.value for one in levels]
    return (max if side > 0 else min)(values, key=float) if values else centre  # type: ignore[arg-type]


def beyond(end: object, centre: object) -> object:
    """One more step of the same factor; `end` itself for what has no such step, or would leave 0 to 1."""
    if not (_is_number(end) and _is_number(centre) and float(centre) > 0 and float(end) > 0):  # type: ignore[arg-type]
        return end
    far = float(end) ** 2 / float(centre)  # type: ignore[arg-type]
    if isinstance(end, int) and isinstance(centre, int):
        return max(1, round(far))
    within = float(end) < 1 <= far  # type: ignore[arg-type]
    return end if within else float(f"{far:.2g}")
