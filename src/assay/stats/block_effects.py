"""Blocks: runs of both arms that share something, such as a class of machine; a difference is one within blocks.

Covers: which blocks can be judged, the difference in each, and whether it is the same in all. Not covered: the test
itself, which takes the spread within blocks (`stats.hypothesis_tests`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from assay.core.errors import UsageError
from assay.stats import difference_estimate
from assay.stats.arm_scores import ArmScores

#: the block of each run of baseline and candidate, in their order
Blocks = tuple[Sequence[str], Sequence[str]]
#: below this p blocks are said to disagree
DISAGREE = 0.05


@dataclass(frozen=True)
class BlockDifference:
    """Candidate - baseline within one block, with its interval by the spread within all of them."""

    block: str
    delta: float
    ci: tuple[float, float]


@dataclass(frozen=True)
class BlockEffects:
    """The difference in each block. `interaction_p`: of "the same in all of them"; None for one block alone."""

    differences: tuple[BlockDifference, ...]
    interaction_p: float | None

    @property
    def disagree(self) -> bool:
        return self.interaction_p is not None and self.interaction_p < DISAGREE


def labelled(name: str, arm: ArmScores, blocks: Sequence[str]) -> ArmScores:
    """The arm with the block of each run. Raises UsageError where a run has none."""
    if not arm.fixed and len(blocks) != arm.n:
        raise UsageError(f"{name} has {arm.n} runs in {len(blocks)} blocks", allowed="the block of each run")
    return arm if arm.fixed else replace(arm, blocks=tuple(map(str, blocks)))


def unbalanced(baseline: ArmScores, candidate: ArmScores) -> str:
    """Why these blocks decide nothing, "" where they do: each holds as many runs of an arm as any other."""
    counts = [(name, Counter(arm.blocks)) for name, arm in (("baseline", baseline), ("candidate", candidate))]
    counts = [(name, count) for name, count in counts if count]
    every = sorted({block for _, count in counts for block in count})
    for name, count in counts:
        if len({count[block] for block in every}) > 1:
            told = ", ".join(f"{count[block]} on {block}" for block in every)
            return f"blocks are unbalanced: the {name} has {told}"
    return ""


def find(baseline: ArmScores, candidate: ArmScores, alpha: float) -> BlockEffects | None:
    """The difference in each block at 1 - alpha; None without blocks, and where nothing is known of the spread.

    The interaction is tested by F: the spread between the blocks' differences over that of one such difference.
    """
    blocks = sorted({*baseline.blocks, *candidate.blocks})
    (var_b, n_b), (var_c, n_c) = baseline.as_one_sample, candidate.as_one_sample
    if not blocks or var_b is None or var_c is None or var_b + var_c == 0 or unbalanced(baseline, candidate):
        return None
    deltas = np.array([_mean(candidate, block) - _mean(baseline, block) for block in blocks])
    if baseline.fixed or candidate.fixed:
        contrast = difference_estimate.one_sample(0.0, var_b + var_c, n_b if candidate.fixed else n_c)
    else:
        contrast = difference_estimate.welch(0.0, var_b, n_b, var_c, n_c)
    square = float(contrast.se) ** 2 * len(blocks)  # of one block's difference
    half = float(difference_estimate.t_quantile(alpha, contrast.df)) * square**0.5
    p = None
    if len(blocks) > 1:
        p = float(special.fdtrc(len(blocks) - 1, contrast.df, float(np.var(deltas, ddof=1)) / square))
    each = zip(blocks, deltas.tolist(), strict=True)
    return BlockEffects(tuple(BlockDifference(name, one, (one - half, one + half)) for name, one in each), p)


def _mean(arm: ArmScores, block: str) -> float:
    if arm.fixed:
        return float(arm.values[0])
    return float(np.mean(arm.values[np.array(arm.blocks) == block]))
