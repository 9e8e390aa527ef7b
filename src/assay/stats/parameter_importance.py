"""Which parameters explain the metric over many settings at once: regression of ranks on a few powers.

Covers: the share of variance that each parameter explains by itself, a bootstrap interval, and a permutation line: what
the largest share is worth where no parameter matters. Ranks, so that settings that failed enter as the last. Pure. Not
covered: interactions, which stay in what is not explained; drawing settings (`stats.quasi_random_settings`).
`benchmarks/importance.py` has the methods that this one was chosen from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy import special, stats

from assay.core.errors import UsageError

Array = NDArray[np.float64]
#: settings below which no importance is told
FEWEST = 50
#: highest power of a number's terms: quadratic ones miss a narrow peak, and higher ones take settings to fit
DEGREE = 3
#: shuffled responses behind the line, and resampled settings behind an interval
SHUFFLES, RESAMPLES = 999, 500


@dataclass(frozen=True)
class Importance:
    """Share of the variance of ranks that one parameter explains by itself; `ci`: its bootstrap interval."""

    key: str
    share: float
    ci: tuple[float, float]
    matters: bool  # above the line


@dataclass(frozen=True)
class Importances:
    """Parameters by their share, largest first. `line`: what chance alone gives the largest, 1 - alpha of the time."""

    parameters: tuple[Importance, ...]
    line: float
    explained: float  # by all of them, without interactions
    settings: int


def importance(
    units: Mapping[str, Sequence[float]],
    choices: Mapping[str, Sequence[object]],
    response: Sequence[float | None],
    alpha: float = 0.05,
    seed: int = 0,
) -> Importances:
    """`units`: parameter → place in its range, 0 to 1, (n,). `choices`: parameter → its word, (n,).

    `response`: a number a setting, the larger the better; None for one that failed, which ranks last. The same data
    give the same answer. Raises UsageError for fewer than 50 settings, and where all responses are one.
    """
    count = len(response)
    if count < FEWEST:
        raise UsageError(f"importance from {count} settings", allowed=f"{FEWEST} or more", hint="--settings 64")
    scores = normal_scores(response)
    if not np.ptp(scores) > 0:
        raise UsageError("the metric is the same in all settings: it has no spread to explain", allowed="wider ranges")
    groups = {key: polynomials(np.asarray(values, float)) for key, values in units.items()}
    groups |= {key: _words(values) for key, values in choices.items()}
    groups = {key: columns for key, columns in groups.items() if columns.shape[1]}
    rng = np.random.default_rng(seed)
    found = shares(groups, scores)
    line = float(np.quantile(_largest_by_chance(groups, scores, rng), 1 - alpha))
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, count, count)
        drawn.append(shares({key: columns[rows] for key, columns in groups.items()}, scores[rows]))
    ordered = sorted(found, key=lambda key: -found[key])
    return Importances(
        parameters=tuple(
            Importance(key, found[key], _ends([one[key] for one in drawn], found[key], alpha), found[key] > line)
            for key in ordered
        ),
        line=line,
        explained=_explained(np.hstack(list(groups.values())), scores),
        settings=count,
    )


def shares(groups: Mapping[str, Array], scores: Array) -> dict[str, float]:
    """Share of the variance of `scores` (n,) that the columns of each group explain, all others held: squares lost."""
    whole = np.hstack(list(groups.values()))
    design = np.column_stack([np.ones(len(scores)), whole])
    fitted, *_ = np.linalg.lstsq(design, scores, rcond=None)
    total, at, found = float(np.var(scores)), 1, {}
    for key, columns in groups.items():
        size = columns.shape[1]
        part = columns @ fitted[at : at + size]
        found[key] = float(np.var(part)) / total if total > 0 else 0.0
        at += size
    return found


def _largest_by_chance(groups: Mapping[str, Array], scores: Array, rng: np.random.Generator) -> Array:
    """The largest share of each of many shuffled responses, (SHUFFLES,); one decomposition serves all of them."""
    drawn = np.array([rng.permutation(scores) for _ in range(SHUFFLES)]).T
    design = np.column_stack([np.ones(len(scores)), *groups.values()])
    fitted, *_ = np.linalg.lstsq(design, drawn, rcond=None)
    at, found = 1, []
    for columns in groups.values():
        found.append(np.var(columns @ fitted[at : at + columns.shape[1]], axis=0))
        at += columns.shape[1]
    return np.asarray(np.max(found, axis=0) / np.var(scores))


def _explained(columns: Array, scores: Array) -> float:
    design = np.column_stack([np.ones(len(scores)), columns])
    fitted, *_ = np.linalg.lstsq(design, scores, rcond=None)
    return float(1 - np.var(scores - design @ fitted) / np.var(scores))


def normal_scores(response: Sequence[float | None]) -> Array:
    """Normal scores of the ranks; what failed shares the last one."""
    known = [-np.inf if one is None else float(one) for one in response]
    ranks = stats.rankdata(known)
    return np.asarray(special.ndtri((ranks - 0.375) / (len(ranks) + 0.25)), float)


def polynomials(place: Array, degree: int = DEGREE) -> Array:
    """Legendre polynomials up to `degree` of places (n,) from 0 to 1; fewer where there are few different places."""
    most = min(degree, len(np.unique(place)) - 1)
    terms = [legendre.legval(2 * place - 1, [0.0] * power + [1.0]) for power in range(1, most + 1)]
    return np.column_stack(terms or [np.empty((len(place), 0))])


def _words(values: Sequence[object]) -> Array:
    known = sorted({repr(one) for one in values})
    return np.array([[float(repr(one) == word) for word in known[1:]] for one in values]).reshape(len(values), -1)


def _ends(drawn: Sequence[float], found: float, alpha: float) -> tuple[float, float]:
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2])
    return min(float(low), found), max(float(high), found)
