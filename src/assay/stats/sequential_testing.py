"""Looking early: the level of each look, so that all looks together err at most alpha.

Covers: declared plans (calibrated levels where tabulated, else a union bound), looks without a plan (the first may
err four fifths of alpha, each later one nine tenths of what is left), and futility. Spending in proportion to n: Kim &
DeMets 1987, Biometrika 74:149. Not covered: a look after every seed, which `anytime_valid_test` is made for.

A look at grown arms repeats most of what the look before saw, and so may have a higher level than what it may err;
by how much depends on how much it repeats (`_beside`). A look at newly drawn seeds repeats nothing that may be
counted on: its level is what it may err. Use `Earlier.nested` for the one, `nested=False` for the other, never one
for the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from assay.core.errors import UsageError
from assay.stats import verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.sequential_levels_table import LEVELS

TABLE_ALPHA = 0.05
#: Of alpha, what a first verdict without a plan leaves for seeds that may be added later.
RESERVE = 0.2
#: Of what is left, what each later verdict leaves for those after it.
KEPT = 0.1
#: p of looks at n and at more seeds are tied like normal scores of correlation sqrt(n / more), less what the spread
#: takes away that few runs tell badly: this / (n - 1) of the way to no tie. Fitted to simulated paired t, the least
#: tied of the exact tests; benchmarks/judge_nulls.py (`second_looks`) measures what it leaves.
SLACK = 1.5
_NODES, _WEIGHTS = special.roots_legendre(96)
#: Below this chance of ending in progress the remaining seeds are better spent elsewhere.
FUTILE = 0.1


@dataclass(frozen=True)
class Look:
    """One look. Give `alpha` and `hold` to `compare`; `number` of `of` looks, `of` 0 without a plan."""

    alpha: float
    hold: str  # why no verdict may be read here; "" where it may
    number: int
    of: int


class Earlier(NamedTuple):
    """A verdict that was given: its n, its level, and whether one of both looks holds all runs of the other.

    `nested` asks for both arms: seeds were added to those that were there, or fewer of them are looked at. Where any
    arm was drawn anew it is False.
    """

    n: int
    level: float
    nested: bool = True


def look(alpha: float, n: int, looks: Sequence[int] = (), earlier: Sequence[int] = ()) -> Look:
    """The level for a verdict at n replicates per arm.

    `looks`: the declared plan, ascending; `earlier`: n of each earlier verdict on this strategy against this
    baseline, in the order in which they were given, all of one draw of seeds (`next_level` for others). Reading the
    same n again is no new look: it keeps its level. A verdict outside the plan is held back.
    Raises UsageError for a plan that does not rise.
    """
    check(looks)
    outside = list(dict.fromkeys(at for at in earlier if at not in looks))
    if not looks:
        before = outside[: outside.index(n)] if n in outside else outside
        return Look(next_level(alpha, n, _undeclared(alpha, before)), "", len(before) + 1, 0)
    left = budget(alpha, len(outside)) if outside else alpha
    if n not in looks:
        hold = f"n={n} is not among the declared looks {', '.join(map(str, looks))}"
        return Look(left, hold, 0, len(looks))
    number = list(looks).index(n)
    return Look(levels(left, tuple(looks))[number], "", number + 1, len(looks))


def next_level(alpha: float, n: int, earlier: Sequence[Earlier]) -> float:
    """The level of a look at n without a plan, after `earlier` ones, nested or drawn anew.

    The chance that it errs where none before it did is at most `budget(alpha, len(earlier))`, and all budgets add up to
    alpha, whatever the looks share. Levels that were given stand, whoever gave them.
    """
    left = budget(alpha, len(earlier))
    return max([left, *(_beside(left, one, n) for one in earlier if one.nested)])


def budget(alpha: float, earlier: int) -> float:
    """What a verdict may err after so many others: four fifths first, then nine tenths of what is left each time."""
    return alpha * (1 - RESERVE) if earlier == 0 else alpha * RESERVE * KEPT ** (earlier - 1) * (1 - KEPT)


def check(looks: Sequence[int]) -> None:
    """Refuse a plan that does not rise, or starts below two runs."""
    if any(b <= a for a, b in itertools.pairwise(looks)) or (looks and looks[0] < 2):
        raise UsageError(f"looks are {list(looks)}", allowed="rising numbers, 2 or more, e.g. 3, 5, 10, 20")


def levels(alpha: float, looks: tuple[int, ...]) -> tuple[float, ...]:
    """The level of each look. Tabulated plans at 0.05 are calibrated; all others spend alpha additively, which
    holds for every dependence between looks and gives away some power."""
    if alpha == TABLE_ALPHA and looks in LEVELS:
        return LEVELS[looks]
    before = (0, *looks[:-1])
    return tuple(alpha * (n - last) / looks[-1] for n, last in zip(looks, before, strict=True))


def _undeclared(alpha: float, sizes: Sequence[int]) -> list[Earlier]:
    """Looks at these n, one after another, with the levels that they had."""
    found: list[Earlier] = []
    for n in sizes:
        found.append(Earlier(n, next_level(alpha, n, found)))
    return found


def _beside(left: float, before: Earlier, n: int) -> float:
    """The level at n that errs `left` of the time where the look `before`, nested with it, did not."""
    few, many = sorted((before.n, n))
    if few < 2 or not before.level:
        return left
    nominal = math.sqrt(few / many)
    tied = nominal * max(0.0, 1 - SLACK / (few - 1) * (1 - nominal))
    low, high = left, left + before.level  # at most, were both the same look
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _alone(middle, before.level, tied) < left else (low, middle)
    return low


def _alone(level: float, before: float, tied: float) -> float:
    """P(p ≤ level and the other p > before), both two-sided, for normal scores of correlation `tied`."""
    inside, critical = -special.ndtri(before / 2), -special.ndtri(level / 2)
    z, rest = inside * _NODES, math.sqrt(1 - tied**2)
    outside = special.ndtr((tied * z - critical) / rest) + special.ndtr((-tied * z - critical) / rest)
    return float(inside * (_WEIGHTS * np.exp(-z * z / 2)) @ outside / math.sqrt(2 * math.pi))


def chance_of_progress(result: Comparison, final_n: int, final_alpha: float) -> float:
    """Predictive probability that a comparison now at n ends in progress at `final_n`, whatever the true effect.

    A flat prior on the effect, normal scores of the p at hand (Spiegelhalter, Freedman & Blackburn 1986,
    Controlled Clinical Trials 7:8). 1 where nothing is known yet.
    """
    n = min(side.n for side in (result.baseline, result.candidate) if not side.fixed)
    if result.delta is None or result.reason or n >= final_n:
        return 1.0
    side = math.copysign(1.0, result.delta) * verdict_rule.sign(result.direction)
    z = side * float(-special.ndtri(max(result.p, 1e-300) / 2))
    critical = float(-special.ndtri(final_alpha / 2))
    return float(special.ndtr((z * math.sqrt(final_n / n) - critical) / math.sqrt((final_n - n) / n)))


def futile(result: Comparison, final_n: int, final_alpha: float) -> bool:
    """Stop for futility: progress at the last look is unlikely. Non-binding: the levels do not count on it."""
    return result.verdict == "inconclusive" and chance_of_progress(result, final_n, final_alpha) < FUTILE
