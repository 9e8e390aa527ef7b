"""Cautions: when the numbers themselves give reason to doubt a verdict.

Covers: lopsided runs, spreads that differ where the test wants them equal, runs that are suspiciously alike, a
group whose runs were made in different ways or began with the same weights. A caution never changes a verdict;
what must change it is refused elsewhere. Cautions are for what the data show: beside at most 10 % of verdicts on
normal data, with an effect or without. What no data can show, failures that the sample did not meet, is a bound
beside n (`divergence.failures_below`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import special

from assay.stats.arm_scores import ArmScores, Values
from assay.stats.hypothesis_tests import IN_PAIRS, Test, differences

#: Levels of the two looks at the data, each over both arms together.
SKEW_ALPHA = 0.04
SPREAD_ALPHA = 0.02
LEAST_FOR_SKEW = 8


def cautions(baseline: ArmScores, candidate: ArmScores, test: Test) -> tuple[str, ...]:
    """One sentence each."""
    return (
        *(() if test == "resampled" else _alike(baseline, candidate)),  # a floor may be the same on every split
        *_skewed(baseline, candidate, test),
        *_spreads(baseline, candidate, test),
    )


#: one after another, whichever process does it
ALONE = {"processes": "sequential"}


def made_differently(arm: str, executions: Iterable[str]) -> tuple[str, ...]:
    """How many runs of one group were made in which way, where it was more than one; "" is a way nobody recorded."""
    counts = Counter(ALONE.get(way, way) for way in executions if way)
    if len(counts) < 2:
        return ()
    told = ", ".join(f"{count} {way}" for way, count in counts.items())
    return (f"{arm}: replicates made in different ways: {told}",)


def counted_once(arm: str, runs: int, distinct: int) -> str:
    """Some runs of one arm have the same predictions, bit for bit."""
    meant = "; where nothing is random by design, set task.fixed: true" if distinct == 1 else ""
    return (
        f"{arm}: only {distinct} of {runs} replicates differ in their predictions, and n counts those: "
        f"does the seed reach the training?{meant}"
    )


def _arms(baseline: ArmScores, candidate: ArmScores) -> list[tuple[str, ArmScores]]:
    return [(name, arm) for name, arm in (("baseline", baseline), ("candidate", candidate)) if not arm.fixed]


def _alike(baseline: ArmScores, candidate: ArmScores) -> Iterator[str]:
    same = baseline.n == candidate.n >= 2 and np.array_equal(np.sort(baseline.values), np.sort(candidate.values))
    if same and not (baseline.fixed or candidate.fixed):
        yield "both arms hold the same numbers: does the change reach the training, and has each arm its own seeds?"
    for name, arm in _arms(baseline, candidate):
        if arm.n >= 2 and not arm.variance:
            yield f"all {arm.n} runs of the {name} give the same number, though they differ: the metric is too coarse"


def _skewed(baseline: ArmScores, candidate: ArmScores, test: Test) -> Iterator[str]:
    arms = _arms(baseline, candidate)
    if test in (*IN_PAIRS, "anytime") and baseline.n == candidate.n:
        arms = [("pairs", differences(baseline, candidate))]
    for name, arm in arms:
        if arm.n >= LEAST_FOR_SKEW and arm.variance and skew_p(arm.values) < SKEW_ALPHA / len(arms):
            yield f"the runs of the {name} are lopsided or hold an outlier: the interval leans on normal runs"


def _spreads(baseline: ArmScores, candidate: ArmScores, test: Test) -> Iterator[str]:
    var_b, var_c = baseline.variance, candidate.variance
    if test in ("welch", *IN_PAIRS, "anytime") or baseline.fixed or candidate.fixed or not var_b or not var_c:
        return
    if f_p(var_b / var_c, baseline.n - 1, candidate.n - 1) < SPREAD_ALPHA:
        yield f"the arms spread differently, which {test} takes for equal: use welch"


def f_p(ratio: float, df_b: int, df_c: int) -> float:
    """Two-sided p of equal variances (Fisher's F)."""
    below = float(special.fdtr(df_b, df_c, ratio))
    return 2 * min(below, 1 - below)


def skew_p(values: Values) -> float:
    """Two-sided p of a symmetric normal shape from the sample skewness, n ≥ 8 (D'Agostino 1970, Biometrika 57:679)."""
    n = len(values)
    centred = values - np.mean(values)
    skewness = float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)
    y = skewness * math.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    kurtosis = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    w2 = math.sqrt(2 * (kurtosis - 1)) - 1
    delta, scale = 1 / math.sqrt(0.5 * math.log(w2)), math.sqrt(2 / (w2 - 1))
    z = delta * math.asinh(y / scale)
    return float(2 * special.ndtr(-abs(z)))
