"""Luck's share of fixed and broken examples: how many change sides between two groups of seeds of one strategy.

Each example has a chance of its own to come out right; over examples these chances follow a beta distribution, so that
counts of right replicates are beta-binomial (Skellam 1948, J. R. Stat. Soc. B 10:257). Its two numbers are fitted to
the baseline's counts by maximum likelihood. What another group would change is then summed over the examples as they
were counted, and not over those that the fit expects: where chances follow another distribution, that is nearer to the
truth. Comparing two halves of the baseline's replicates instead would speak of smaller groups, whose majorities change
more often. Covers: the expected number, the range. Not covered: which examples they are (`metrics.example_cases`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

#: fewer replicates tell nothing about how an example's chance differs from 0 and 1
MIN_REPLICATES = 3
#: ends of the range, which holds 90 %
TAILS = (0.05, 0.95)
#: where the fit looks: logit of the mean, logarithm of a + b; points of its grid, how often it zooms in and how far
_BOUNDS = ((-12.0, 12.0), (-9.0, 9.0))
_POINTS, _ZOOMS, _ZOOM = 25, 24, 0.45

Counts = NDArray[np.integer]
Array = NDArray[np.float64]


class CaseRange(NamedTuple):
    """Expected number of examples, and the ends of the range that holds 90 % of such numbers; both count."""

    expected: float
    low: int
    high: int


class LuckyChanges(NamedTuple):
    """Numbers of examples that change sides although nothing was changed."""

    fixed: CaseRange
    broken: CaseRange


def expected(right: Counts, baseline_n: int, candidate_n: int) -> LuckyChanges | None:
    """Expected changes for groups of these sizes, from how many of the baseline's replicates got each example right.

    `right` (N,) holds counts from 0 to `baseline_n`. A group has an example right when more than half of its replicates
    do: a tie is wrong in either group. None (unknown) below three replicates in a group, and without examples.
    """
    if min(baseline_n, candidate_n) < MIN_REPLICATES or not len(right):
        return None
    histogram = np.bincount(right, minlength=baseline_n + 1)
    a, b = _fit(histogram)
    change = _changes(histogram, a, b, candidate_n) / len(right)
    fixed = _change(a, b, wrong=baseline_n, right=candidate_n)
    broken = _change(a, b, wrong=candidate_n, right=baseline_n)
    part = fixed / (fixed + broken) if fixed + broken else 0.5
    return LuckyChanges(_range(len(right), change * part), _range(len(right), change * (1 - part)))


def _fit(histogram: Counts) -> tuple[float, float]:
    """a and b of the beta distribution under which `histogram` (n + 1,) of counts is most likely."""
    centre = [(low + high) / 2 for low, high in _BOUNDS]
    reach = [(high - low) / 2 for low, high in _BOUNDS]
    for _ in range(_ZOOMS):
        axes = [
            np.clip(np.linspace(middle - half, middle + half, _POINTS), *bound)
            for middle, half, bound in zip(centre, reach, _BOUNDS, strict=True)
        ]
        mean, total = (each.ravel() for each in np.meshgrid(*axes, indexing="ij"))
        best = int(np.argmax(_likelihood(histogram, *_shapes(mean, total))))
        centre, reach = [float(mean[best]), float(total[best])], [half * _ZOOM for half in reach]
    a, b = _shapes(np.array(centre[0]), np.array(centre[1]))
    return float(a), float(b)


def _shapes(mean: Array, total: Array) -> tuple[Array, Array]:
    """a and b from the logit of a / (a + b) and the logarithm of a + b."""
    return np.exp(total) * special.expit(mean), np.exp(total) * special.expit(-mean)


def _likelihood(histogram: Counts, a: Array, b: Array) -> Array:
    """Logarithm of the likelihood, but for a constant, for each (a, b)."""
    seen = np.flatnonzero(histogram)
    n = len(histogram) - 1
    each = special.betaln(seen + a[:, None], n - seen + b[:, None]) - special.betaln(a, b)[:, None]
    return np.asarray(each @ histogram[seen])


def _changes(histogram: Counts, a: float, b: float, other: int) -> float:
    """Expected number of examples that another group of `other` replicates has on the other side."""
    n = len(histogram) - 1
    count, many = np.arange(n + 1)[:, None], np.arange(other // 2 + 1, other + 1)[None, :]
    a_known, b_known = a + count, b + n - count
    ways = _log_choose(other, many) + special.betaln(a_known + many, b_known + other - many)
    right = np.exp(ways - special.betaln(a_known, b_known)).sum(axis=1).clip(0.0, 1.0)
    changed = np.where(2 * np.arange(n + 1) > n, 1 - right, right)
    return float(histogram @ changed)


def _change(a: float, b: float, *, wrong: int, right: int) -> float:
    """Chance that an example is wrong in a group of `wrong` replicates and right in another of `right`."""
    few, many = np.arange(wrong // 2 + 1)[:, None], np.arange(right // 2 + 1, right + 1)[None, :]
    hits, both = few + many, wrong + right
    ways = _log_choose(wrong, few) + _log_choose(right, many)
    chance = np.exp(ways + special.betaln(a + hits, b + both - hits) - special.betaln(a, b)).sum()
    return min(float(chance), 1.0)


def _log_choose(n: int, k: Counts) -> Array:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def _range(examples: int, chance: float) -> CaseRange:
    low, high = (_quantile(examples, min(chance, 1.0), tail) for tail in TAILS)
    return CaseRange(examples * chance, low, high)


def _quantile(examples: int, chance: float, tail: float) -> int:
    """The smallest number that a binomial count stays at or below with a probability of at least `tail`."""
    low, high = 0, examples
    while low < high:
        middle = (low + high) // 2
        if special.bdtr(middle, examples, chance) >= tail:
            high = middle
        else:
            low = middle + 1
    return low
