"""Runs that resemble the one before: how often a test then errs, and how often the caution about their order speaks.

A part of `judge.py`. Each run has `phi` of the one before (AR(1)); seeds fixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from judge_nulls import ALPHA, Draws, Row, at_most, contrast_at, pool_pairs, stream

from assay.stats.serial_correlation import LEAST_FOR_ORDER, ORDER_ALPHA, excess, unusual

PHI, WARM_UP = 0.5, 50


def resembling(rng: np.random.Generator, draws: int, n: int, phi: float = PHI) -> Draws:
    """(draws, n) runs of equal mean, each with `phi` of the one before."""
    runs = rng.normal(size=(draws, n + WARM_UP))
    for i in range(1, n + WARM_UP):
        runs[:, i] += phi * runs[:, i - 1]
    return runs[:, WARM_UP:]


def spoken(*arms: Draws) -> float:
    """Share of draws in which the caution speaks, as `compare` finds it."""
    return float(np.mean([unusual([excess(arm) for arm in both]) for both in zip(*arms, strict=True)]))


def order_cautions(draws: int) -> Iterator[Row]:
    """Independent runs, normal and of the pool; then runs that resemble the one before."""
    for n in (LEAST_FOR_ORDER, 10, 20, 50):
        rng = stream(1900 + n)
        arms = rng.normal(size=(draws, n)), rng.normal(size=(draws, n))
        yield at_most(f"independent normal runs, n={n}: caution about their order", spoken(*arms), draws, ORDER_ALPHA)
    pairs = pool_pairs(stream(1960), draws, 10, 10)
    yield at_most("null pairs, n=10: caution about their order", spoken(*pairs), draws, ORDER_ALPHA)
    for n in (5, 10, 20, 50):
        rng = stream(1970 + n)
        arms = resembling(rng, draws, n), resembling(rng, draws, n)
        wrong = float(np.mean(contrast_at(*arms, n).p <= ALPHA))
        yield Row(f"each run half of the one before, n={n}: welch errs", wrong, "for comparison", True)
        told = spoken(*arms)
        least = {50: 0.98}.get(n, 0.0)
        bound = f"≥ {least:.2f}" if least else "for comparison"
        held = told >= least - 3 * math.sqrt(least * (1 - least) / draws)
        yield Row(f"each run half of the one before, n={n}: caution about their order", told, bound, held)
