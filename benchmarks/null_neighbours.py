"""Near neighbours of a fresh strategy: how often is one called better or worse, though it is the same recipe?

An idea is looked at, confirmed on fresh seeds of both arms and accepted, by the rules of `evaluate` and `assay accept`.
A near neighbour trains to the same numbers where it has the same seeds, and is truly no different. So it must not be
judged on the seeds that selected the strategy: where its numbers begin is what `assay.baseline.candidate_seeds` says.
Runs are drawn from 1,261 of one recipe (tests/fixtures/README.md), each named by purpose and number as in the pipeline.

    OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/null_neighbours.py [--projects N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from null_ideas import ALPHA, FIRST, SEEDS, Array, draw, pool
from numpy.typing import NDArray

from assay.baseline.candidate_seeds import CANDIDATE, first
from assay.stats.confirmation_rule import better, level
from assay.stats.difference_estimate import welch

#: of the event that accepted the strategy
SEQUENCE = 1
#: sd by which ideas are better, and how many are tried
CASES = ((2.0, 1), (2.0, 10), (2.0, 50), (1.0, 1), (1.0, 10), (1.0, 50), (0.0, 50))
Found = NDArray[np.bool_]


@dataclass
class Runs:
    """Losses (T, n) of one recipe in T projects: the same purpose and numbers are the same runs, ever again."""

    rng: np.random.Generator
    values: Array
    projects: int
    known: dict[tuple[str, int], Array] = field(default_factory=dict)

    def of(self, purpose: str, begin: int) -> Array:
        if (purpose, begin) not in self.known:
            self.known[purpose, begin] = draw(self.rng, self.values, self.projects, SEEDS)
        return self.known[purpose, begin]


def best(rng: np.random.Generator, values: Array, projects: int, tried: int) -> Array:
    """The runs (T, n) of the idea that did best of `tried` equal ones: its luck is what selected it."""
    found = draw(rng, values, projects, SEEDS)
    for _ in range(tried - 1):
        other = draw(rng, values, projects, SEEDS)
        found = np.where((other.mean(axis=1) < found.mean(axis=1))[:, None], other, found)
    return found


def wrong(
    rng: np.random.Generator,
    values: Array,
    projects: int,
    case: tuple[float, int],
    sequences: Sequence[int] = (SEQUENCE,),
) -> tuple[Found, Found]:
    """Of the projects that accepted: whether the neighbour's first look says `progress`, and whether it says anything
    but `inconclusive`.

    `case`: by how many sd the ideas lower the loss, and of how many the best is accepted. `sequences`: of the events of
    the new baseline; none gives neighbours the numbers that every candidate had before.
    """
    shift, tried = case
    lower = shift * values.std(ddof=1)
    before, idea = Runs(rng, values, projects), Runs(rng, values, projects)
    idea.known[CANDIDATE, first([])] = best(rng, values, projects, tried)
    selected = better(before.of("confirmation", 0), idea.of(CANDIDATE, first([])) - lower, "minimize", FIRST)
    fresh = idea.of("confirmation", 20_000)
    chosen = selected & better(before.of("confirmation", 30_000), fresh - lower, "minimize", 2 * level(1))
    baseline, neighbour = fresh[chosen], idea.of(CANDIDATE, first(sequences))[chosen]
    variances = baseline.var(axis=1, ddof=1), neighbour.var(axis=1, ddof=1)
    delta = neighbour.mean(axis=1) - baseline.mean(axis=1)
    shown = np.asarray(welch(delta, variances[0], SEEDS, variances[1], SEEDS).p <= FIRST)
    return shown & (delta < 0), shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng, values = np.random.default_rng(chosen.seed), pool()
    print("| accepted: best of | neighbours | wrong | bound | false progress | wrong before | false progress before |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES:
        progress, any_ = wrong(rng, values, chosen.projects, case)
        old_progress, old = wrong(rng, values, chosen.projects, case, ())
        bound = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / len(any_))
        print(
            f"| {case[1]} ideas, +{case[0]:g} sd | {len(any_)} | {any_.mean():.4f} | ≤ {bound:.4f} "
            f"| {progress.mean():.4f} | {old.mean():.4f} | {old_progress.mean():.4f} |"
        )


if __name__ == "__main__":
    main()
