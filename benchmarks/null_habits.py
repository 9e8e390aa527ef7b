"""People who want an idea to pass: seeds drawn again, plans that grow, parameters jittered, attempts deleted.

Fifty ideas worth nothing a project, drawn as in null_ideas.py. Each is looked at until something says `progress`, and
then confirmed until something says yes. Levels come from `assay.stats.alpha_budget` and
`assay.stats.confirmation_rule`, the rules of `evaluate` and `assay accept`; nothing of them is written again here.

    OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/null_habits.py [--projects N]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from null_ideas import ALPHA, ATTEMPTS, IDEAS, SEEDS, Array, draw, look, pool
from numpy.typing import NDArray

from assay.stats.alpha_budget import LookEntry, take
from assay.stats.confirmation_rule import better, level
from assay.stats.difference_estimate import welch

REROLLS = 20
#: what is done to one idea until it looks good
HABITS: dict[str, list[LookEntry]] = {
    "20 seeds each": [look(draw=seed) for seed in range(REROLLS)],
    "5 seeds more, 7 times": [look(n) for n in range(5, 41, 5)],
    "seeds left out and added": [look(n) for n in (10, 5, 20, 8, 40)],
    "plans that grow": [look(n, plan=tuple(range(5, n + 1, 5))) for n in range(5, 41, 5)],
    "a plan of 4 looks that grows": [look(n, plan=(5, 10, 20, 40)[: 3 + (n > 20)]) for n in (5, 10, 20, 40)],
    "plans and seeds in turn": [look(n, seed, plan) for seed in range(4) for plan in ((), (5, 10)) for n in (5, 10)],
}
Found = NDArray[np.bool_]


def priced(looks: Sequence[LookEntry]) -> list[LookEntry]:
    """The looks of one account, one after the other, each at its price."""
    ledger: list[LookEntry] = []
    for one in looks:
        ledger.append(take(ledger, one)[0])
    return ledger


def wrong(rng: np.random.Generator, values: Array, accounts: int, looks: Sequence[LookEntry]) -> tuple[Found, Found]:
    """Of many accounts (A,): whether any look says `progress`, and whether any says anything but `inconclusive`."""
    most = max(one.key.n for one in looks)
    drawn: dict[int, Array] = {}
    good, any_ = np.zeros(accounts, bool), np.zeros(accounts, bool)
    for one in priced(looks):
        arms = drawn.setdefault(one.key.candidate, draw(rng, values, 2, accounts, most))[:, :, : one.key.n]
        if one.level:
            good |= better(arms[0], arms[1], "minimize", one.level)
            any_ |= p(arms) <= one.level
    return good, any_


def p(arms: Array) -> Array:
    """Welch's p of (2, A, n) runs."""
    mean, variance, n = arms.mean(axis=-1), arms.var(axis=-1, ddof=1), arms.shape[-1]
    return np.asarray(welch(mean[1] - mean[0], variance[0], n, variance[1], n).p)


def hunted(rng: np.random.Generator, values: Array, accounts: int, looks: int = 6) -> Found:
    """Whether any look errs, where what was seen decides on the next one: nearly there, and five seeds are added;
    else both arms are drawn again."""
    wrong_, path = np.zeros(accounts, bool), np.zeros(accounts, int)
    arms, sizes, draws = draw(rng, values, 2, accounts, 5 * looks), np.full(accounts, 5), np.zeros(accounts, int)
    taken: dict[int, list[LookEntry]] = {0: []}
    for _ in range(looks):
        ledgers: dict[int, list[LookEntry]] = {}
        near = np.zeros(accounts, bool)
        for here in np.unique(path):
            who = np.flatnonzero(path == here)
            n, at = int(sizes[who[0]]), int(draws[who[0]])
            entry = take(taken[here], look(n, at))[0]
            found = p(arms[:, who, :n])
            wrong_[who] |= found <= entry.level
            near[who] = found < 5 * entry.level
            for step in (0, 1):
                ledgers[2 * int(here) + step] = [*taken[here], entry]
        path, taken = 2 * path + near, ledgers
        sizes = np.where(near, sizes + 5, 5)
        draws += ~near
        again = np.flatnonzero(~near)
        arms[:, again] = draw(rng, values, 2, len(again), arms.shape[-1])
    return wrong_


def accepted(
    rng: np.random.Generator, values: Array, projects: int, looks: Sequence[LookEntry], jitters: int = 1
) -> Found:
    """Whether any of 50 ideas, each under `jitters` names, is accepted in each of many projects."""
    found, before = np.zeros(projects, bool), np.zeros(projects, int)
    for _ in range(IDEAS):
        for _ in range(jitters):
            waiting = np.flatnonzero(wrong(rng, values, projects, looks)[0])
            for attempt in range(1, ATTEMPTS + 1):
                before[waiting] += 1  # whoever deletes the tags of attempts leaves the ledger
                levels = np.array([level(attempt, int(number)) for number in before[waiting]])
                passed = better(*draw(rng, values, 2, len(waiting), SEEDS), "minimize", 2 * levels)
                found[waiting[passed]] = True
                waiting = waiting[~passed]
    return found


def line(what: str, errs: Found, bound: float) -> str:
    share = errs.mean()
    error = np.sqrt(bound * (1 - bound) / len(errs))
    return f"  {what:<46}{share:.4f}  ≤ {bound + 3 * error:.4f}  {'yes' if share <= bound + 3 * error else 'NO'}"


def rows(rng: np.random.Generator, projects: int, accounts: int) -> Iterator[str]:
    values = pool()
    for habit, looks in HABITS.items():
        yield line(f"one idea, {habit}", wrong(rng, values, accounts, looks)[1], ALPHA)
    yield line("one idea, more seeds or new ones as it looks", hunted(rng, values, accounts), ALPHA)
    for habit, looks in HABITS.items():
        yield line(f"50 ideas, {habit}", accepted(rng, values, projects, looks), ALPHA)
    yield line("50 ideas, each jittered 20 times", accepted(rng, values, projects // 4, [look()], 20), ALPHA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    chosen = parser.parse_args()
    print(f"{'what is done':<48}wrong   bound     holds")
    for row in rows(np.random.default_rng(20261130), chosen.projects, chosen.accounts):
        print(row, flush=True)


if __name__ == "__main__":
    main()
