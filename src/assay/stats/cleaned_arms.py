"""Both arms of a comparison as their runs count: checked, runs that are all alike as one, worst values entered.

Covers: what is refused, one scale for both arms on which arithmetic is safe. Not covered: what the numbers say
(`stats.hypothesis_tests`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assay.core.errors import UsageError
from assay.stats import block_effects, diverged_runs_test
from assay.stats.arm_scores import ArmScores, Values, exponent, sample
from assay.stats.block_effects import Blocks
from assay.stats.hypothesis_tests import IN_PAIRS, Test


@dataclass(frozen=True)
class CountedArms:
    """Both arms in units of 2**-`power_of_two`. `given`: as they came in, before runs that are alike became one.

    `entered`: diverged runs are in the numbers as the worst value, and no longer missing.
    """

    baseline: ArmScores
    candidate: ArmScores
    given: tuple[ArmScores, ArmScores]
    power_of_two: int
    entered: bool

    @property
    def finite(self) -> bool:
        """Whether both arms have a finite run."""
        return min(arm.n for arm in self.given) > 0

    def failures_below(self, place: int) -> float | None:
        """Share of failing runs that this n leaves possible; `place` 0 is the baseline. None for a fixed value."""
        arm, diverged = (self.baseline, self.candidate)[place], self.given[place].diverged
        if arm.fixed:
            return None
        return diverged_runs_test.failures_below(diverged, arm.n if self.entered else arm.n + diverged)

    def in_order(self) -> tuple[ArmScores, ArmScores]:
        """The runs as they were given: worst values that entered for diverged ones stand at the end, out of order."""
        pairs = zip(self.given, (self.baseline, self.candidate), strict=True)
        first, second = (ArmScores(counted.in_blocks, given.diverged, given.fixed) for given, counted in pairs)
        return first, second

    def to_scale(self, value: float) -> float:
        return math.ldexp(value, self.power_of_two)

    def from_scale(self, value: float) -> float:
        return math.ldexp(value, -self.power_of_two)


def counted(
    baseline: float | Sequence[float] | Values,
    candidate: float | Sequence[float] | Values,
    test: Test,
    diverged: tuple[int, int],
    worst: float | None,
    *,
    fixed: bool,
    distinct: bool,
    blocks: Blocks | None = None,
) -> CountedArms:
    """The arms of `stats.arm_comparison.compare`, which says what each argument means. Raises UsageError."""
    # in pairs and in blocks the caller puts it in its place
    entering = None if test in IN_PAIRS or blocks is not None else worst
    arms = sample("baseline", baseline, diverged[0], entering), sample("candidate", candidate, diverged[1], entering)
    if blocks is not None:
        arms = (
            block_effects.labelled("baseline", arms[0], blocks[0]),
            block_effects.labelled("candidate", arms[1], blocks[1]),
        )
    _check_fit(*arms, test, fixed)
    power_of_two, entered = exponent(*(arm.values for arm in arms)), entering is not None
    scaled = arms[0].scaled(power_of_two), arms[1].scaled(power_of_two)
    first, second = _alike(*scaled, entered, fixed, distinct)
    if entered:
        first, second = replace(first, diverged=0), replace(second, diverged=0)
    return CountedArms(first, second, arms, power_of_two, entered)


def _check_fit(baseline: ArmScores, candidate: ArmScores, test: Test, fixed: bool) -> None:
    if baseline.fixed and candidate.fixed and not fixed:
        raise UsageError(
            "both sides are fixed values",
            allowed="a list of runs on at least one side; fixed=True where none is random",
        )
    if (baseline.fixed or candidate.fixed) and test not in ("welch", "student", "anytime", "resampled"):
        raise UsageError(f"test {test} cannot use a fixed value", allowed="test='welch' (it becomes a one-sample t)")
    alone = baseline.fixed or candidate.fixed
    if test in IN_PAIRS and not alone and baseline.n != candidate.n and not (baseline.diverged or candidate.diverged):
        raise UsageError(
            f"a {test} comparison has {baseline.n} baseline and {candidate.n} candidate replicates",
            allowed="the same seeds in the same order on both sides",
        )


def _alike(
    baseline: ArmScores, candidate: ArmScores, entered: bool, fixed: bool, distinct: bool
) -> tuple[ArmScores, ArmScores]:
    """Both arms, runs that are all alike taken for one."""
    if distinct and not fixed:
        return baseline, candidate
    found = tuple(arm.counted(arm.diverged if entered else 0, fixed) for arm in (baseline, candidate))
    if fixed and not any(arm.fixed for arm in found):
        raise UsageError(
            "fixed=True, but the runs of both arms differ", allowed="an arm whose runs are all alike, or fixed=False"
        )
    return found[0], found[1]
