"""Looking early: the level of each look, so that all looks together err at most alpha.

Covers: declared plans (calibrated levels where tabulated, else a union bound), seeds added without a plan
(alpha is spent over the earlier verdicts), and futility. Normal boundaries are not used: on t statistics of a
few runs they err more often than they say. Spending in proportion to n: Kim & DeMets 1987, Biometrika 74:149.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from assay.judging import verdict
from assay.judging.compare import Comparison
from assay.judging.looks_table import LEVELS
from assay.words.errors import UsageError

TABLE_ALPHA = 0.05
#: Of alpha, what a first verdict without a plan leaves for seeds that may be added later.
RESERVE = 0.2
#: Below this chance of ending in progress the remaining seeds are better spent elsewhere.
FUTILE = 0.1


@dataclass(frozen=True)
class Look:
    """One look. Give `alpha` and `hold` to `compare`; `number` of `of` looks, `of` 0 without a plan."""

    alpha: float
    hold: str  # why no verdict may be read here; "" where it may
    number: int
    of: int


def look(alpha: float, n: int, looks: Sequence[int] = (), earlier: Sequence[int] = ()) -> Look:
    """The level for a verdict at n replicates per arm.

    `looks`: the declared plan, ascending; `earlier`: n of each earlier verdict on this strategy against this
    baseline. Reading the same n again is no new look. A verdict outside the plan is held back.
    Raises UsageError for a plan that does not rise.
    """
    check(looks)
    outside = sorted({at for at in earlier if at not in looks and at != n})
    if not looks:
        return Look(_undeclared(alpha, len(outside)), "", len(outside) + 1, 0)
    left = alpha if not outside else _undeclared(alpha, len(outside))
    if n not in looks:
        hold = f"n={n} is not among the declared looks {', '.join(map(str, looks))}"
        return Look(left, hold, 0, len(looks))
    number = list(looks).index(n)
    return Look(levels(left, tuple(looks))[number], "", number + 1, len(looks))


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


def _undeclared(alpha: float, earlier: int) -> float:
    """What a verdict may spend after so many others: four fifths first, then half of what is left each time."""
    return alpha * (1 - RESERVE) if earlier == 0 else alpha * RESERVE / 2**earlier


def chance_of_progress(result: Comparison, final_n: int, final_alpha: float) -> float:
    """Predictive probability that a comparison now at n ends in progress at `final_n`, whatever the true effect.

    A flat prior on the effect, normal scores of the p at hand (Spiegelhalter, Freedman & Blackburn 1986,
    Controlled Clinical Trials 7:8). 1 where nothing is known yet.
    """
    n = min(side.n for side in (result.baseline, result.candidate) if not side.fixed)
    if result.delta is None or result.reason or n >= final_n:
        return 1.0
    side = math.copysign(1.0, result.delta) * verdict.sign(result.direction)
    z = side * float(-special.ndtri(max(result.p, 1e-300) / 2))
    critical = float(-special.ndtri(final_alpha / 2))
    return float(special.ndtr((z * math.sqrt(final_n / n) - critical) / math.sqrt((final_n - n) / n)))


def futile(result: Comparison, final_n: int, final_alpha: float) -> bool:
    """Stop for futility: progress at the last look is unlikely. Non-binding: the levels do not count on it."""
    return result.verdict == "inconclusive" and chance_of_progress(result, final_n, final_alpha) < FUTILE
