"""Fifty worthless ideas in a row: how often is one accepted, and what gain is then claimed?

Every group is drawn from 1,261 real runs of one recipe (tests/fixtures/README.md), so that the truth is
always "no difference"; the rules are those of `assay.stats.alpha_budget` and `assay.stats.confirmation_rule`, the very
code that `evaluate` and `assay accept` run. An accepted idea becomes the baseline, with the replicates that confirmed
it. The power for ideas that are truly better is printed too, and what two common habits do on the same data. What
people do who want an idea to pass is in null_habits.py.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.stats.alpha_budget import LookEntry, LookKey, take
from assay.stats.confirmation_rule import better, level

POOL = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "one_recipe_1261.csv"
IDEAS, SEEDS, ATTEMPTS = 50, 10, 5
Array = NDArray[np.float64]
ALPHA = 0.05


def look(n: int = SEEDS, draw: int = 0, plan: tuple[int, ...] = ()) -> LookEntry:
    """A look at one idea, as `evaluate` asks for it: draw number `draw` of both arms."""
    key = LookKey(candidate=draw, against=draw, n=n, test="welch", alpha=ALPHA, plan=plan, metric="loss")
    return LookEntry(identity="idea", baseline="baseline", place=0, key=key, level=0.0, spends=0.0)


#: level of a first look
FIRST = take([], look())[0].level


@dataclass(frozen=True)
class Outcome:
    """Of many simulated projects (T,): whether anything was accepted, and the gain claimed in all, in sd."""

    accepted: NDArray[np.bool_]
    claimed: Array

    @property
    def line(self) -> str:
        chance = self.accepted.mean()
        error = np.sqrt(chance * (1 - chance) / len(self.accepted))
        return f"any false accept {chance:.3f} ±{error:.3f}, claimed gain {self.claimed.mean():.3f} sd"


def pool() -> Array:
    return np.loadtxt(POOL, skiprows=1)


def draw(rng: np.random.Generator, values: Array, *shape: int) -> Array:
    return rng.choice(values, shape)


def rules(rng: np.random.Generator, values: Array, projects: int, shift: float = 0.0, ideas: int = IDEAS) -> Outcome:
    """`projects` projects, each trying `ideas` ideas that lower the loss by `shift` sd.

    An idea whose experiment says `progress` is confirmed on fresh seeds of both arms, up to five times. What replaced
    the baseline is another baseline, whose confirmations are counted anew.
    """
    sd = values.std(ddof=1)
    baseline = draw(rng, values, projects, SEEDS)
    truth, claimed, accepted = np.zeros(projects), np.zeros(projects), np.zeros(projects, bool)
    before = np.zeros(projects, int)
    for _ in range(ideas):
        new = truth - shift * sd
        candidate = draw(rng, values, projects, SEEDS) + new[:, None]
        waiting = np.flatnonzero(better(baseline, candidate, "minimize", FIRST))
        for attempt in range(1, ATTEMPTS + 1):
            if not len(waiting):
                break
            fresh_b = draw(rng, values, len(waiting), SEEDS) + truth[waiting, None]
            fresh_c = draw(rng, values, len(waiting), SEEDS) + new[waiting, None]
            before[waiting] += 1
            levels = np.array([level(attempt, int(number)) for number in before[waiting]])
            passed = better(fresh_b, fresh_c, "minimize", 2 * levels)
            won = waiting[passed]
            claimed[won] += (fresh_b.mean(axis=1) - fresh_c.mean(axis=1))[passed] / sd
            accepted[won], truth[won], baseline[won], before[won] = True, new[won], fresh_c[passed], 0
            waiting = waiting[~passed]
    return Outcome(accepted, claimed)


def keep_if_lower(rng: np.random.Generator, values: Array, projects: int) -> Outcome:
    """One seed an idea; whatever is lower than the best so far is kept."""
    losses = draw(rng, values, projects, IDEAS + 1)
    return Outcome(losses[:, 1:].min(axis=1) < losses[:, 0], (losses[:, 0] - losses.min(axis=1)) / values.std(ddof=1))


def gate_without_rerun(rng: np.random.Generator, values: Array, projects: int, seeds: int = 5) -> Outcome:
    """Accept at one-sided p < 0.05; the baseline is never measured again and the winner's numbers are believed."""
    baseline = draw(rng, values, projects, seeds)
    claimed, accepted = np.zeros(projects), np.zeros(projects, bool)
    for _ in range(IDEAS):
        candidate = draw(rng, values, projects, seeds)
        won = better(baseline, candidate, "minimize", 0.10)
        claimed[won] += (baseline.mean(axis=1) - candidate.mean(axis=1))[won] / values.std(ddof=1)
        accepted |= won
        baseline = np.where(won[:, None], candidate, baseline)
    return Outcome(accepted, claimed)


def power(rng: np.random.Generator, values: Array, projects: int, shift: float) -> float:
    """Chance that one idea that is better by `shift` sd is selected and confirmed at the first attempt."""
    lower = shift * values.std(ddof=1)
    groups = [draw(rng, values, projects, SEEDS) for _ in range(4)]
    selected = better(groups[0], groups[1] - lower, "minimize", FIRST)
    confirmed = better(groups[2], groups[3] - lower, "minimize", 2 * level(1))
    return float((selected & confirmed).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rng, values = np.random.default_rng(chosen.seed), pool()
    print(f"{IDEAS} ideas worth nothing, {chosen.projects} projects, {SEEDS}+{SEEDS} seeds")
    print(f"  keep if lower, one seed        {keep_if_lower(rng, values, chosen.projects).line}")
    print(f"  p < 0.05 at 5+5, no re-run     {gate_without_rerun(rng, values, chosen.projects).line}")
    print(f"  selection and confirmation     {rules(rng, values, chosen.projects).line}")
    for shift in (1.0, 1.5, 2.0):
        print(f"  a true +{shift:g} sd idea is accepted at the first attempt: {power(rng, values, 200_000, shift):.3f}")


if __name__ == "__main__":
    main()
