"""How far a cheap profile orders strategies as the full one does: order of separated pairs, correlation of true means.

Covers: the share of pairs that the full profile separates and the fast one orders alike, the correlation of true means
in a normal model of settings and replicates with an interval by profile likelihood, the chance that screening by the
fast profile drops the best. Pure. Not covered: which groups may be paired (`commands.fidelity_groups`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from assay.core.errors import UsageError
from assay.stats import true_mean_correlation
from assay.stats.difference_estimate import welch
from assay.stats.true_mean_correlation import CorrelationFit

Array = NDArray[np.float64]
#: pairs count as separated at this two-sided level, by Welch
SEPARATED = 0.05
#: an interval wider than this certifies nothing
WIDEST = 0.5
#: settings below which there is no interval at all
FEWEST = 4
#: disjoint separated pairs below which there is none of the share
LEAST_DISJOINT = 2.0
#: made-up sets of settings behind the chance that the best is dropped
DRAWS = 4000
MEASURED, TOO_FEW = "measured", "too few settings"


@dataclass(frozen=True)
class ProfilePair:
    """One setting under both profiles: the metric of each replicate, (n,) and (m,) numbers, two or more each."""

    full: Sequence[float]
    fast: Sequence[float]


@dataclass(frozen=True)
class ProfileFidelity:
    """`share` is None where full separates no pair, `correlation` where a profile shows no spread between settings.

    `dropped`: chance that the truly best setting is not in the better half by fast, with its values at both ends of the
    correlation's interval. `word`: measured, or too few settings.
    """

    settings: int
    pairs: int
    separated: int
    alike: float  # of the separated ones; a tie of fast counts as half
    share: float | None
    share_ci: tuple[float, float]
    correlation: float | None
    correlation_ci: tuple[float, float]
    dropped: float | None
    dropped_ci: tuple[float, float]
    word: str


def fidelity(settings: Sequence[ProfilePair], alpha: float = 0.05) -> ProfileFidelity:
    """What the same `settings` under both profiles say of the fast one.

    Raises UsageError for fewer than two settings, for fewer than two replicates of one, for numbers that are none.
    """
    _check(settings)
    count = len(settings)
    agreed = agreement(settings)
    separated, alike = int(np.sum(~np.isnan(agreed))) // 2, float(np.nansum(agreed)) / 2
    share_ci = share_interval(agreed, alpha) if separated and count >= FEWEST else (0.0, 1.0)
    fit = true_mean_correlation.fit([one.full for one in settings], [one.fast for one in settings], alpha)
    least, most = fit.ci if fit else (-1.0, 1.0)
    chances = [_dropped(fit, settings, at) for at in (fit.correlation, most, least)] if fit else []
    wide = share_ci[1] - share_ci[0] > WIDEST or most - least > WIDEST
    return ProfileFidelity(
        settings=count,
        pairs=count * (count - 1) // 2,
        separated=separated,
        alike=alike,
        share=alike / separated if separated else None,
        share_ci=share_ci,
        correlation=fit.correlation if fit else None,
        correlation_ci=(least, most),
        dropped=chances[0] if chances else None,
        dropped_ci=(chances[1], chances[2]) if chances else (0.0, 1.0),
        word=TOO_FEW if wide else MEASURED,
    )


def _check(settings: Sequence[ProfilePair]) -> None:
    if len(settings) < 2:
        raise UsageError(f"{len(settings)} settings are measured under both profiles", allowed="two or more")
    for one in settings:
        for values in (one.full, one.fast):
            if len(values) < 2 or not np.isfinite(np.asarray(values, float)).all():
                raise UsageError(f"a setting has the values {list(values)}", allowed="two or more finite numbers")


def agreement(settings: Sequence[ProfilePair]) -> Array:
    """(S, S): 1 where fast orders a pair as full does, 0 where not, .5 where it ties; NaN where full separates none."""
    full, fast = (_moments([getattr(one, name) for one in settings]) for name in ("full", "fast"))
    gap = full[0][:, None] - full[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = welch(gap, full[1][:, None], full[2][:, None], full[1], full[2]).p
    p = np.where(full[1][:, None] + full[1] > 0, p, np.where(gap != 0, 0.0, 1.0))  # without spread they differ or not
    orders = np.sign(gap) * np.sign(fast[0][:, None] - fast[0])
    agreed = np.where(p <= SEPARATED, (orders + 1) / 2, np.nan)
    np.fill_diagonal(agreed, np.nan)
    return agreed


def _moments(values: Sequence[Sequence[float]]) -> tuple[Array, Array, Array]:
    """Means, variances and numbers of replicates, (S,) each."""
    return (
        np.array([np.mean(one) for one in values]),
        np.array([np.var(one, ddof=1) for one in values]),
        np.array([float(len(one)) for one in values]),
    )


def share_interval(agreed: Array, alpha: float) -> tuple[float, float]:
    """Interval of the share of separated pairs that are ordered alike; `agreed` (S, S) with NaN where not separated.

    Pairs that share a setting are not independent. So Wilson's interval (1927) is taken at the number of pairs that
    would be as good as these: by the jackknife over settings, and never more than there are settings, nor fewer than
    disjoint pairs.
    """
    known = ~np.isnan(agreed)
    count, settings = float(known.sum()) / 2, len(agreed)
    share = float(np.nansum(agreed)) / 2 / count
    fewest = count / (settings - 1)
    if fewest < LEAST_DISJOINT:
        return 0.0, 1.0
    middle = (share * count + 1) / (count + 2)  # away from 0 and 1, where the jackknife sees no spread
    per, pairs = np.nansum(agreed, axis=1), known.sum(axis=1)
    left = [(share * count - one) / (count - gone) for one, gone in zip(per, pairs, strict=True) if count - gone > 0]
    spread = (settings - 1) / settings * float(np.sum((np.array(left) - share) ** 2)) if len(left) > 1 else 0.0
    as_good = middle * (1 - middle) / spread if spread > 0 else math.inf
    return wilson(share, min(max(fewest, as_good), 2 * fewest), float(special.ndtri(1 - alpha / 2)))


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a share of n independent trials."""
    square = quantile**2 / n
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def _dropped(fit: CorrelationFit, settings: Sequence[ProfilePair], at: float) -> float:
    """Chance that the best of so many settings lies in the worse half by fast, at the correlation `at`."""
    rng = np.random.default_rng(0)  # the same question has the same answer
    noise = fit.noise_fast / math.sqrt(float(np.mean([len(one.fast) for one in settings])))
    shape = DRAWS, len(settings)
    full = rng.standard_normal(shape)
    fast = fit.spread_fast * (at * full + math.sqrt(max(0.0, 1 - at**2)) * rng.standard_normal(shape))
    fast += noise * rng.standard_normal(shape)
    best = np.argmax(full, axis=1)  # or the least: normal draws are symmetric
    rank = np.sum(fast > np.take_along_axis(fast, best[:, None], axis=1), axis=1)
    return float(np.mean(rank >= math.ceil(len(settings) / 2)))
