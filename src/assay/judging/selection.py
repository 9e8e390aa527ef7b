"""Selection and confirmation: which experiment may ask to be accepted, and when fresh seeds say yes.

An experiment is selected because it looks good, so its own numbers overstate it; what is accepted is
measured again, both arms, with seeds that chose nothing. Covers: the levels of repeated attempts, the
decision, vectorised so that a simulation runs the very rule that decides. Not covered: measuring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.judging.compare import Comparison, compare
from assay.judging.contrasts import welch
from assay.judging.verdict import sign
from assay.words.errors import UsageError

#: chance, one-sided, that an idea worth nothing is ever confirmed, however often it is tried
ALPHA = 0.025


def level(attempt: int) -> float:
    """One-sided level of the `attempt`-th confirmation (from 1) of one idea: ALPHA / 2^attempt.

    The levels of all attempts add up to ALPHA (Bonferroni with geometric weights), where five free
    attempts at 0.025 would be wrong 1 - 0.975^5 = 11.9 % of the time.
    """
    if attempt < 1:
        raise UsageError(f"attempt is {attempt}", allowed="1, 2, …")
    return float(np.ldexp(ALPHA, -attempt))


def confirm(
    baseline: float | Sequence[float],
    candidate: Sequence[float],
    direction: str,
    attempt: int,
    diverged: tuple[int, int] = (0, 0),
    worst: float | None = None,
    min_effect: float = 0.0,
    test: str = "welch",
    fixed: bool = False,
    distinct: bool = False,
) -> Comparison:
    """Fresh values of both arms, judged for the `attempt`-th time; confirmed where the verdict is `progress`.

    A bare number as baseline is a fixed value, such as a floor. `test` is welch or paired, as the design was declared;
    `fixed` and `distinct` as in `compare`.

    The interval is two-sided at twice the level, so that its better end is the one-sided bound. `diverged`
    counts replicates of (baseline, candidate); `worst` is the task's value for them, if it has one.
    """
    return compare(
        baseline=baseline,
        candidate=candidate,
        direction=direction,
        alpha=2 * level(attempt),
        min_effect=min_effect,
        diverged_baseline=diverged[0],
        diverged_candidate=diverged[1],
        worst=worst,
        test=test,
        fixed=fixed,
        distinct=distinct,
    )


def better(baseline: ArrayLike, candidate: ArrayLike, direction: str, alpha: ArrayLike) -> NDArray[np.bool_]:
    """Whether Welch's two-sided interval at 1 - alpha lies on the good side of 0: the verdict `progress`.

    `baseline` (…, n) and `candidate` (…, m) hold the values of one replicate along their last axis;
    `alpha` and the leading axes broadcast. For finite arms of about equal size and with spread, as `compare`
    decides them; it holds back on the others.
    """
    b, c = np.asarray(baseline, float), np.asarray(candidate, float)
    delta = c.mean(axis=-1) - b.mean(axis=-1)
    contrast = welch(delta, b.var(axis=-1, ddof=1), b.shape[-1], c.var(axis=-1, ddof=1), c.shape[-1])
    low, high = contrast.interval(np.asarray(alpha, float))  # type: ignore[arg-type]
    return np.asarray(low > 0 if sign(direction) > 0 else high < 0)
