"""Two arms as they were measured, replicate by replicate, to a comparison: pairs, worst values, diverged replicates.

The one way to `compare` for `evaluate`, `accept`, `sweep` and `assay compare`. Covers: matching a paired design by its
seeds or numbers, in which a diverged replicate keeps its place; arms without chance. Not covered: the verdict
(`stats.arm_comparison`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.core.errors import UsageError
from assay.stats.arm_comparison import Comparison, compare, entered
from assay.stats.hypothesis_tests import IN_PAIRS

PAIRED = "paired"
#: on splits drawn anew, the same ones in both arms
RESAMPLED = "resampled"
#: tests that one arm and a fixed value can have: nothing to pair with, or to permute
ALONE = ("welch", "student", "anytime", RESAMPLED)
#: what pairs a replicate with one of the other arm: its number, its seed, its place
Key = int | str


@dataclass(frozen=True)
class MeasuredArm:
    """(key, value) of each replicate that counts, in order; the value is None where it diverged."""

    replicates: Sequence[tuple[Key, float | None]]
    overlap: float | None = None  # on splits drawn anew: validation examples over training examples, the mean
    blocks: Mapping[Key, str] | None = None  # class of machine that each was trained on, where it is a block

    @property
    def values(self) -> list[float]:
        """(n,) of those that did not diverge."""
        return [value for _, value in self.replicates if value is not None]

    @property
    def diverged(self) -> int:
        return sum(value is None for _, value in self.replicates)

    @property
    def constant(self) -> bool:
        """Whether all replicates are one value: what a task without chance gives."""
        return len(set(self.values)) == 1 and not self.diverged

    def placed(self, worst: float | None) -> Mapping[Key, float]:
        """Key → value; a diverged one is `worst`, or left out without it."""
        found = {key: worst if value is None else value for key, value in self.replicates}
        return {key: value for key, value in found.items() if value is not None}

    def block_of_each(self, keys: Iterable[Key]) -> list[str]:
        return [self.blocks[key] for key in keys] if self.blocks else []


def _blocks(baseline: float | MeasuredArm, candidate: MeasuredArm) -> bool:
    """Whether differences are taken within blocks. Raises UsageError where one arm alone has any."""
    told = [bool(arm.blocks) for arm in (baseline, candidate) if isinstance(arm, MeasuredArm)]
    if len(set(told)) > 1:
        raise UsageError(
            f"the {'baseline' if told[0] else 'candidate'} alone was measured in blocks",
            allowed="both arms with the same judge.blocks",
            hint="dvc exp run",
        )
    return told[0]


def matched(baseline: MeasuredArm, candidate: MeasuredArm, worst: float | None) -> tuple[list[float], list[float]]:
    """Values of the keys that both arms have, in the order of the baseline's. Diverged ones count as `worst`; without
    it a pair counts where both finished."""
    first, second = baseline.placed(worst), candidate.placed(worst)
    both = [key for key in first if key in second]
    return [first[key] for key in both], [second[key] for key in both]


def fitting_test(test: str, *, fixed_value: bool) -> str:
    """`test`, or Welch's where it asks for more than a candidate and a fixed value are."""
    return "welch" if fixed_value and test not in ALONE else test


def compare_arms(
    baseline: float | MeasuredArm,
    candidate: MeasuredArm,
    direction: str,
    *,
    test: str,
    alpha: float,
    min_effect: float,
    worst: float | None,
    hold: str = "",
    fixed: bool = False,
    distinct: bool = False,
) -> Comparison:
    """The comparison of two arms; a bare number as baseline is a fixed value, such as a floor.

    On splits drawn anew (`test` resampled) arms say how much these overlap; against a fixed value every split counts.
    `worst`: what a diverged replicate counts as; None holds the verdict back. `fixed`: nothing in the task is random;
    it counts where an arm indeed is constant. Others as in `compare`, which also says what is refused.
    """
    arms = [arm for arm in (baseline, candidate) if isinstance(arm, MeasuredArm)]
    diverged = (baseline.diverged if isinstance(baseline, MeasuredArm) else 0), candidate.diverged
    first: float | list[float] = baseline.values if isinstance(baseline, MeasuredArm) else baseline
    second, in_place = candidate.values, False
    if test in IN_PAIRS and isinstance(baseline, MeasuredArm):
        first, second = matched(baseline, candidate, worst)
        in_place = worst is not None  # diverged ones are in their places already
    elif test == RESAMPLED:
        second = list(candidate.placed(worst).values())
        in_place = worst is not None
    blocks = None
    if _blocks(baseline, candidate):
        placed = [arm.placed(worst) if isinstance(arm, MeasuredArm) else {} for arm in (baseline, candidate)]
        first = list(placed[0].values()) if isinstance(baseline, MeasuredArm) else baseline
        second, in_place = list(placed[1].values()), worst is not None
        known = baseline.block_of_each(placed[0]) if isinstance(baseline, MeasuredArm) else []
        blocks = known, candidate.block_of_each(placed[1])
    found = compare(
        first,
        second,
        direction,
        alpha=alpha,
        min_effect=min_effect,
        test=test,
        diverged_baseline=0 if in_place else diverged[0],
        diverged_candidate=0 if in_place else diverged[1],
        worst=worst,
        hold=hold,
        fixed=fixed and any(arm.constant for arm in arms),
        distinct=distinct,
        overlap=candidate.overlap if test == RESAMPLED else None,
        blocks=blocks,
    )
    return entered(found, diverged) if in_place else found
