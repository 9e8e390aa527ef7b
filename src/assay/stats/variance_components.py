"""New examples: what a difference says about data drawn again, not only about seeds drawn again.

Covers: examples crossed with seeds and shared by both arms, each run of each arm having scored every
example. The variance of the difference is put together from mean squares (seeds, examples, their interaction)
and its degrees of freedom by Satterthwaite, as in multi-reader multi-case studies, where readers are our seeds
and cases our examples: Obuchowski & Rockette 1995, Communications in Statistics B 24:285; Hillis 2007,
Statistics in Medicine 26:596; Gallas et al. 2009, Communications in Statistics A 38:2586.
Not covered: metrics that are no mean over examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from assay.core.errors import UsageError
from assay.stats.difference_estimate import Array, Contrast


@dataclass(frozen=True)
class NewExamples:
    """candidate - baseline for new seeds and new examples. Infinite interval and p = 1 where nothing can be said."""

    delta: float
    ci: tuple[float, float]
    p: float
    df: float
    examples: int
    share_of_examples: float  # of the variance; the rest is the seeds'
    fixed: int | None  # examples that most baseline runs miss and most candidate runs get; None unless scores are 0/1
    broken: int | None


@dataclass(frozen=True)
class _VarianceTerm:
    """One mean square: what it adds to (or takes from) the variance of the difference, and its df."""

    value: float
    df: float


def new_examples(
    baseline: ArrayLike, candidate: ArrayLike, *, paired: bool = False, alpha: float = 0.05
) -> NewExamples:
    """Interval for new examples from per-example scores, (R, N) each; (N,) is a fixed predictor without seeds.

    R may differ between the arms, N and its order may not. `paired`: row r of both arms has the same seed.
    Raises UsageError where shapes do not fit or a score is not finite.
    """
    rows_b, rows_c = _table("baseline", baseline), _table("candidate", candidate)
    _check(rows_b, rows_c, paired)
    arms = [rows_c - rows_b] if paired else [rows_b, rows_c]
    gaps = rows_c.mean(axis=0) - rows_b.mean(axis=0)
    delta = float(gaps.mean())
    seeds, noise = _seed_parts(arms, np.ndim(baseline) == 1, np.ndim(candidate) == 1)
    examples = _VarianceTerm(float(np.var(gaps, ddof=1)) / len(gaps), len(gaps) - 1)
    fixed, broken = _flips(rows_b, rows_c)
    seed_variance, noise_variance = sum(part.value for part in seeds), sum(part.value for part in noise)
    # Mean squares can undercut what they estimate; the difference varies no less than by either source alone.
    variance = max(seed_variance + examples.value - noise_variance, seed_variance, examples.value)
    if not variance > 0 or not math.isfinite(variance):
        return NewExamples(delta, (-math.inf, math.inf), 1.0, 0.0, len(gaps), math.nan, fixed, broken)
    parts = [*seeds, examples, *noise]
    contrast = Contrast(np.asarray(delta), np.asarray(math.sqrt(variance)), np.asarray(_satterthwaite(variance, parts)))
    low, high = contrast.interval(alpha)
    share = max(0.0, examples.value - noise_variance) / variance
    return NewExamples(
        delta, (float(low), float(high)), float(contrast.p), float(contrast.df), len(gaps), share, fixed, broken
    )


def _satterthwaite(variance: float, parts: list[_VarianceTerm]) -> float:
    return float(variance**2 / sum(part.value**2 / part.df for part in parts if part.value))


def _seed_parts(arms: list[Array], *fixed: bool) -> tuple[list[_VarianceTerm], list[_VarianceTerm]]:
    """Per arm with seeds: the mean square of seeds and of the interaction, as parts of the variance."""
    seeds, noise = [], []
    for rows, known in zip(arms, fixed, strict=False):
        if known:
            continue
        runs, examples = rows.shape
        if runs < 2:  # no spread between seeds is known: nothing can be said
            return [_VarianceTerm(math.inf, 1)], []
        means = rows.mean(axis=1)
        rest = rows - means[:, None] - rows.mean(axis=0) + rows.mean()
        df = (runs - 1) * (examples - 1)
        seeds.append(_VarianceTerm(float(np.var(means, ddof=1)) / runs, runs - 1))
        noise.append(_VarianceTerm(float(np.sum(rest**2)) / df / (runs * examples), df))
    return seeds, noise


def _flips(baseline: Array, candidate: Array) -> tuple[int | None, int | None]:
    if not np.isin(baseline, (0, 1)).all() or not np.isin(candidate, (0, 1)).all():
        return None, None
    before, after = baseline.mean(axis=0) > 0.5, candidate.mean(axis=0) > 0.5
    return int(np.sum(~before & after)), int(np.sum(before & ~after))


def _table(arm: str, scores: ArrayLike) -> Array:
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] < 2:
        raise UsageError(f"scores of the {arm} have shape {table.shape}", allowed="(replicates, examples ≥ 2)")
    if not np.isfinite(table).all():
        raise UsageError(f"a score of the {arm} is not finite", allowed="finite scores; leave diverged runs out")
    return table


def _check(baseline: Array, candidate: Array, paired: bool) -> None:
    if baseline.shape[1] != candidate.shape[1]:
        raise UsageError(
            f"the arms scored {baseline.shape[1]} and {candidate.shape[1]} examples", allowed="the same examples"
        )
    if paired and len(baseline) != len(candidate):
        raise UsageError(f"a paired design has {len(baseline)} and {len(candidate)} runs", allowed="the same seeds")
