"""Simulations of `judge.blocks: machine`: two strategies that are equally good, trained on several classes of machine.

A class adds the same to both arms, and may have a spread of its own. A verdict is wrong where it says that one strategy
is better. Every function takes the number of draws, with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from judge_nulls import ALPHA, Draws, Row, at_most, stream, within

from assay.stats import block_effects, hypothesis_tests
from assay.stats.arm_scores import ArmScores
from assay.stats.hypothesis_tests import Inference


class BlockedNull(NamedTuple):
    """Runs an arm over `classes`; spreads in units of the baseline's: between classes, of the candidate, of the last
    class; `gain` of the candidate on the first class, and its loss on the last."""

    runs: int
    classes: int
    between: float = 5.0
    candidate: float = 1.0
    last: float = 1.0
    gain: float = 0.0

    def __str__(self) -> str:
        said = f"n={self.runs} on {self.classes} classes {self.between:g} sd apart"
        said += f", candidate {self.candidate:g} times wider" if self.candidate != 1 else ""
        return said + (f", last class {self.last:g} times wider" if self.last != 1 else "")


NULLS = (
    BlockedNull(4, 2),
    BlockedNull(4, 2, last=5),
    BlockedNull(6, 3),
    BlockedNull(10, 2),
    BlockedNull(10, 2, between=0),
    BlockedNull(10, 2, candidate=5),
    BlockedNull(10, 2, last=5),
    BlockedNull(12, 3, candidate=3, last=3),
)


def labels(null: BlockedNull) -> tuple[str, ...]:
    return tuple(f"class {number % null.classes}" for number in range(null.runs))


def arms(rng: np.random.Generator, null: BlockedNull) -> tuple[Draws, Draws]:
    """(runs,) values of baseline and candidate."""
    place = np.arange(null.runs) % null.classes
    shift = null.between * rng.normal(size=null.classes)
    spread = np.where(place == null.classes - 1, null.last, 1.0)
    gain = null.gain * np.where(place == 0, 1.0, np.where(place == null.classes - 1, -1.0, 0.0))
    baseline = shift[place] + spread * rng.normal(size=null.runs)
    return baseline, shift[place] + gain + null.candidate * spread * rng.normal(size=null.runs)


def judged(baseline: Draws, candidate: Draws, blocks: tuple[str, ...] = ()) -> Inference:
    first, second = (ArmScores(values, blocks=blocks) for values in (baseline, candidate))
    return hypothesis_tests.infer(first, second, "welch", ALPHA)


def interaction(baseline: Draws, candidate: Draws, blocks: tuple[str, ...]) -> float:
    first, second = (ArmScores(values, blocks=blocks) for values in (baseline, candidate))
    found = block_effects.find(first, second, ALPHA)
    assert found is not None and found.interaction_p is not None
    return found.interaction_p


def false_verdicts(draws: int) -> Iterator[Row]:
    """Within blocks, and what happens without them and where each arm has a class of its own."""
    for place, null in enumerate(NULLS):
        rng, names = stream(900 + place), labels(null)
        pairs = [arms(rng, null) for _ in range(draws)]
        wrong = sum(judged(*pair, names).p < ALPHA for pair in pairs) / draws
        yield at_most(f"{null}: false verdicts", wrong, draws)
        if null.last == null.candidate == 1:
            wrong = sum(interaction(*pair, names) < ALPHA for pair in pairs) / draws
            yield at_most(f"{null}: interactions that are none", wrong, draws)
        if null == BlockedNull(10, 2):
            blind = sum(judged(*pair).p < ALPHA for pair in pairs) / draws
            yield Row("the same without blocks: false verdicts", blind, "for comparison", True)
            found = sum(judged(pair[0], pair[1] + 1.5, names).p < ALPHA for pair in pairs) / draws
            yield within("a gain of 1.5 sd, within blocks: found", found, 0.85)
            blind = sum(judged(pair[0], pair[1] + 1.5).p < ALPHA for pair in pairs) / draws
            yield Row("the same without blocks: found", blind, "for comparison", True)
    yield _confounded(draws)
    yield from _disagreeing(draws)


def _confounded(draws: int) -> Row:
    """What blocks are for: the baseline on one class of machine, the candidate on another."""
    rng, wrong = stream(950), 0
    for _ in range(draws):
        one, other = 5 * rng.normal(size=2)
        wrong += judged(one + rng.normal(size=10), other + rng.normal(size=10)).p < ALPHA
    return Row("each arm on a class of its own: false verdicts", wrong / draws, "for comparison", True)


def _disagreeing(draws: int) -> Iterator[Row]:
    """A candidate that gains on one class what it loses on the other: the mean is 0, and it is said."""
    null = BlockedNull(10, 2, gain=2.0)
    rng, names = stream(951), labels(null)
    pairs = [arms(rng, null) for _ in range(draws)]
    yield at_most(
        "gains on one class, loses on the other: false verdicts",
        sum(judged(*pair, names).p < ALPHA for pair in pairs) / draws,
        draws,
    )
    said = sum(interaction(*pair, names) < ALPHA for pair in pairs) / draws
    yield within("gains on one class, loses on the other: said", said, 0.9)
