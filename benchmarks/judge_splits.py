"""Simulations of `vary: [split]`: two learners that are equally good, on splits that the library draws.

Each draw makes a data set of its own, and splits of it by `data.resampled_split`. Both learners see the same splits. A
verdict is wrong where it says that one of them is better. Every function takes the number of draws, with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from judge_nulls import ALPHA, Draws, Row, at_most, stream

from assay.core.params_yaml import Split
from assay.data.resampled_split import JoinedParts, draw
from assay.data.storage import Examples
from assay.stats import hypothesis_tests, sequential_testing
from assay.stats.arm_scores import ArmScores

#: splits of a data set
SPLITS = 10
#: of the union of training and validation part, as `split: {validation: 0.2, test: 0.1}` has it
VALIDATION = 2 / 9
PLAN = (3, 5, 10)


def learners(rng: np.random.Generator, examples: int, splits: int) -> tuple[Draws, float]:
    """(2, splits) accuracies of nearest class means, each on five noisy features of its own, and the overlap."""
    y = rng.integers(0, 2, examples)
    sign = 2 * y - 1
    x = 0.4 * sign[:, None] + rng.normal(size=(examples, 10))
    ids = np.array([f"{number:032x}" for number in range(examples)])
    both = Examples(ids, np.empty((examples, 0)), y, classes=("a", "b"))
    keys = np.array([rng.bytes(8).hex().encode() for _ in range(examples)])
    joined = JoinedParts(both, keys, round(VALIDATION * examples), Split(validation=0.2, test=0.1))
    scores, ratios = np.empty((2, splits)), []
    for number in range(splits):
        found = draw(joined, f"simulation {number} ")
        weights = (x[found.train] * sign[found.train, None]).mean(axis=0)
        for arm, half in enumerate((slice(5), slice(5, 10))):
            scores[arm, number] = (
                np.sign(x[found.validation][:, half] @ weights[half]) == sign[found.validation]
            ).mean()
        ratios.append(found.validation.sum() / found.train.sum())
    return scores, float(np.mean(ratios))


def p_of(scores: Draws, test: str, overlap: float) -> float:
    arms = [ArmScores(row) for row in scores]
    ratio = overlap if test == "resampled" else None
    return hypothesis_tests.infer(arms[0], arms[1], test, ALPHA, ratio).p  # type: ignore[arg-type]


def drawn_splits(draws: int) -> Iterator[Row]:
    """False verdicts of three tests over drawn splits, and of declared looks."""
    levels = sequential_testing.levels(ALPHA, PLAN)
    for examples in (100, 300, 1000):
        rng, wrong, looked = stream(700 + examples), dict.fromkeys(("welch", "paired", "resampled"), 0), 0
        for _ in range(draws):
            scores, overlap = learners(rng, examples, SPLITS)
            for test in wrong:
                wrong[test] += p_of(scores, test, overlap) <= ALPHA
            looked += any(
                p_of(scores[:, :n], "resampled", overlap) <= level for n, level in zip(PLAN, levels, strict=True)
            )
        what = f"{SPLITS} drawn splits of {examples}"
        yield Row(f"{what}, Welch: false verdicts", wrong["welch"] / draws, "for comparison", True)
        yield Row(f"{what}, paired t: false verdicts", wrong["paired"] / draws, "for comparison", True)
        yield at_most(f"{what}, resampled: false verdicts", wrong["resampled"] / draws, draws)
        yield at_most(f"{what}, resampled, looks at 3, 5, 10: false verdicts", looked / draws, draws)
