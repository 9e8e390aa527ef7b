"""A range of learning rates from short trainings: where the loss falls most, and from where training breaks.

Covers: the plateau around the best rate, the edge of divergence, rates to train in full. Pure. Not covered: which
of them is best: a few steps cannot tell, they prefer rates that are too large or too small for a whole training.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: the plateau reaches to where this share of the best gain in loss is lost
PLATEAU = 0.1
#: so far below the plateau goes the smallest rate to train in full: whole trainings mostly end best below it
BELOW = 3.0


@dataclass(frozen=True)
class RateRange:
    """`means`: rate → mean loss, None where a seed diverged. `low` to `high` is the plateau; `edge`: the first rate
    from which on every one diverges or ends above the loss of the smallest rate, None where none does.

    `confirm`: rates to train in full. `open`: sides (low, high) on which the plateau reaches the end of the rates.
    """

    means: Mapping[float, float | None]
    best: float
    low: float
    high: float
    edge: float | None
    confirm: tuple[float, ...]
    open: tuple[str, ...]


def rate_range(losses: Mapping[float, Sequence[float | None]]) -> RateRange | None:
    """`losses`: rate → last loss of each seed, None where it diverged. None where no rate finished on all seeds."""
    rates = sorted(losses)
    means = {rate: _mean(losses[rate]) for rate in rates}
    finite = {rate: mean for rate, mean in means.items() if mean is not None}
    if not finite:
        return None
    best = min(finite, key=lambda rate: finite[rate])
    start = finite[min(finite)]  # the smallest rate has hardly moved
    most = finite[best] + max(PLATEAU * (start - finite[best]), _error(losses[best]))
    low, high = (_reach(rates, finite, best, most, step) for step in (-1, 1))
    broken = [means[rate] is None or (rate > best and finite[rate] > start) for rate in rates]
    edge = next((rate for place, rate in enumerate(rates) if all(broken[place:])), None)
    ends = {"low": low == rates[0], "high": high == rates[-1]}
    upper = max(best, (low * high) ** 0.5, low * 1.5)
    confirm = tuple(float(f"{rate:.2g}") for rate in (low / BELOW, (low / BELOW * upper) ** 0.5, upper))
    return RateRange(means, best, low, high, edge, confirm, tuple(name for name, is_open in ends.items() if is_open))


def beyond(found: RateRange, chosen: float) -> float | None:
    """One more rate to train in full where the best of those trained lies at their end; None where it does not, and
    where training breaks there."""
    low, *_, high = sorted(found.confirm)
    if low < chosen < high:
        return None
    rate = float(f"{chosen / BELOW if chosen <= low else chosen * BELOW:.2g}")
    return None if found.edge is not None and rate >= found.edge else rate


def _mean(losses: Sequence[float | None]) -> float | None:
    values = [loss for loss in losses if loss is not None]
    return statistics.fmean(values) if values and len(values) == len(losses) else None


def _error(losses: Sequence[float | None]) -> float:
    """Twice the standard error of a mean of these."""
    values = [loss for loss in losses if loss is not None]
    return 2 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def _reach(rates: Sequence[float], finite: Mapping[float, float], best: float, most: float, step: int) -> float:
    """The last rate on one side of the best, up to which all losses are at most `most`."""
    place = rates.index(best)
    while 0 <= place + step < len(rates) and finite.get(rates[place + step], float("inf")) <= most:
        place += step
    return rates[place]
