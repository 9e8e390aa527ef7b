"""When a measurement that goes on look by look ends: decided, futile, at its last look, or beyond help.

Covers: the one rule that `assay try` and its simulation follow. Pure. Not covered: the level of a look
(`stats.alpha_budget`), running one (`commands.try_idea`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from assay.stats import sequential_testing
from assay.stats.arm_comparison import Comparison

#: replicates an arm at each look, where params.yaml declares none
LOOKS = (3, 5, 10, 20)
#: why it ends: a verdict, progress has become unlikely, the last look, nothing is left of alpha, a replicate diverged
#: and no worst value is named for it, all replicates of an arm are one; "" where it goes on
End = Literal["decided", "futile", "last look", "alpha is spent", "diverged", "all alike", ""]


def end(result: Comparison, n: int, plan: Sequence[int], level: float, last_level: float | None) -> End:
    """Why the measurement ends after the look `result` at n replicates an arm, one of `plan`.

    `level`: what this look was given, 0 where nothing is left. `last_level`: what the last look of a declared plan will
    have; None without a declared plan, where nothing is called futile. Futility is not binding: levels do not count on
    it, and stopping for it can only lower their errors.
    """
    if result.verdict in ("progress", "regression", "equivalent"):
        return "decided"
    if level <= 0:
        return "alpha is spent"
    if not result.entered and (result.baseline.diverged or result.candidate.diverged):
        return "diverged"
    if any(side.n < 2 <= n and not side.fixed for side in (result.baseline, result.candidate)):
        return "all alike"
    if n >= plan[-1]:
        return "last look"
    futile = last_level is not None and sequential_testing.futile(result, plan[-1], last_level)
    return "futile" if futile else ""
