"""What selecting the best of many settings costs: the best looks better than it is, by luck alone.

Covers: which settings are contenders, and estimates of the best that selection does not raise. Two are averaged. One
is empirical Bayes with any distribution of true values (Kiefer & Wolfowitz 1956, by EM), which errs high where there
is no spread; the other chooses on all replicates but one and reads that one, which errs low where there is much. A
normal prior in place of any distribution fails where most settings are poor and the good ones are alike, as learning
rates are. Not covered: a verdict, which fresh seeds alone give (`commands.search_finalists`).
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]
#: settings below which no estimate is given: "confirm"
FEWEST = 10
#: a contender is within so many standard errors (of a paired difference) of the best
CLOSE = 1.0
#: contenders of one generation that get more replicates, at most
CONTENDERS = 4
#: places of the distribution of true values, and steps of EM towards it
_PLACES, _STEPS = 40, 100


def residual_variance(base: Array) -> Array:
    """(…) variance of one replicate around its setting and its seed, from a table (…, k, r); nan below 2 × 2."""
    k, r = base.shape[-2:]
    settings, seeds = base.mean(-1, keepdims=True), base.mean(-2, keepdims=True)
    rest = base - settings - seeds + base.mean((-1, -2), keepdims=True)
    freedom = (k - 1) * (r - 1)
    return np.asarray((rest**2).sum((-1, -2)) / freedom if freedom else np.full(base.shape[:-2], np.nan))


def contenders(base: Array, extra: Array) -> Mask:
    """(…, k) which settings get as many replicates more: those close to the best that have none yet, the best first.

    `base` and `extra` (…, k, r), higher is better; `extra` is nan where a setting has none.
    """
    means, doubled = _means(base, extra), ~np.isnan(extra[..., 0])
    error = np.sqrt(2 * residual_variance(base) / base.shape[-1])
    gap = means.max(-1, keepdims=True) - means
    close = (gap <= CLOSE * error[..., None]) & ~doubled
    place = np.argsort(np.argsort(np.where(close, gap, np.inf), axis=-1, kind="stable"), axis=-1)
    return np.asarray(close & (place < CONTENDERS))


def ranking(base: Array, extra: Array) -> Places:
    """(…, k) numbers of the settings from best to worst by all of their replicates; those with `extra` ones first."""
    means, doubled = _means(base, extra), ~np.isnan(extra[..., 0])
    return np.asarray(np.lexsort((-means, ~doubled), axis=-1))


def raw(base: Array, extra: Array) -> Array:
    """(…, k) means in the order of `ranking`."""
    return np.take_along_axis(_means(base, extra), ranking(base, extra), -1)


def shrunk(base: Array, extra: Array) -> Array:
    """(…, k) estimates in the order of `ranking`; the first one alone where no replicate was held out.

    Raises ValueError for fewer than two settings or replicates.
    """
    if min(base.shape[-2:]) < 2:
        raise ValueError(f"a table of {base.shape[-2:]} has no spread")
    posterior = np.take_along_axis(_posterior(base, extra), ranking(base, extra), -1)
    held = _held_out(base, extra)
    return np.asarray(np.where(np.isnan(held), posterior, 0.5 * (posterior + held)))


def _means(base: Array, extra: Array) -> Array:
    return np.asarray(np.nanmean(np.concatenate([base, extra], -1), -1))


def _posterior(base: Array, extra: Array) -> Array:
    """(…, k) posterior means under the distribution of true values that the settings themselves show."""
    means = _means(base, extra)
    variance = residual_variance(base)[..., None] / (~np.isnan(np.concatenate([base, extra], -1))).sum(-1)
    variance = np.maximum(variance, np.finfo(float).tiny)
    low, high = means.min(-1, keepdims=True), means.max(-1, keepdims=True)
    places = low + (high - low) * np.linspace(0, 1, _PLACES)
    scaled = -((means[..., None] - places[..., None, :]) ** 2) / (2 * variance[..., None])
    likely = np.exp(scaled - scaled.max(-1, keepdims=True))
    weights = np.full(places.shape, 1 / _PLACES)
    for _ in range(_STEPS):
        weights = (likely / (likely @ weights[..., None])) * weights[..., None, :]
        weights = weights.mean(-2)
    mass = likely * weights[..., None, :]
    return np.asarray((mass * places[..., None, :]).sum(-1) / mass.sum(-1))


def _held_out(base: Array, extra: Array) -> Array:
    """(…, k) by rank: what a replicate that had no part in the ranking says of the setting at that rank, on average.

    Replicates that contenders alone have are held out where there are any: nothing that made them contenders saw these.
    """
    doubled = ~np.isnan(extra[..., 0])
    any_doubled = doubled.any(-1, keepdims=True)
    centred = base - base.mean(-2, keepdims=True) + base.mean((-1, -2), keepdims=True)  # without the seed's own level
    of_base = np.stack([_one_out(base, extra, place, centred) for place in range(base.shape[-1])]).mean(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing: ranks without extra replicates
        of_extra = [_one_out(extra, base, place, extra) for place in range(extra.shape[-1])]
    return np.asarray(np.where(any_doubled, np.stack(of_extra).mean(0), of_base))


def _one_out(own: Array, other: Array, place: int, shown: Array) -> Array:
    """(…, k) the values `shown` at `place`, in the order that all other replicates give."""
    rest = np.concatenate([np.delete(own, place, -1), other], -1)
    missing = np.isnan(own[..., place])
    means = np.where(missing, -math.inf, np.nanmean(rest, -1))
    return np.take_along_axis(shown[..., place], np.argsort(-means, axis=-1, kind="stable"), -1)
