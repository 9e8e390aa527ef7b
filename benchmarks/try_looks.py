"""`assay try` on ideas that are worth nothing and on good ones: seeds saved, errors, power; seeds fixed.

Every look is priced by the account (`stats.alpha_budget`) and ended by the rule (`stats.stopping_rule`) of the command
itself; only trainings are replaced by normal draws.

    OMP_NUM_THREADS=1 python benchmarks/try_looks.py             # 4,000 ideas a row
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from assay.stats import alpha_budget, stopping_rule
from assay.stats.alpha_budget import LookEntry, LookKey
from assay.stats.arm_comparison import compare

SEED = 20261130
ALPHA = 0.05
PLAN = stopping_rule.LOOKS


class Tried(NamedTuple):
    """How one idea ended, and how many replicates of the candidate that took."""

    verdict: str
    n: int


class Row(NamedTuple):
    what: str
    measured: float
    bound: str
    holds: bool


def entry(n: int) -> LookEntry:
    key = LookKey(candidate=1, against=2, n=n, test="welch", alpha=ALPHA, plan=PLAN, metric="loss")
    return LookEntry(identity="idea", baseline="commit", key=key, level=0.0, spends=0.0)


def tried(baseline: np.ndarray, candidate: np.ndarray) -> Tried:
    """One idea, look by look: the account's levels, the verdict's test, the rule that ends it."""
    known: list[LookEntry] = []
    for n in PLAN:
        taken, price = alpha_budget.take(known, entry(n))
        known.append(taken)
        result = compare(baseline[:n], candidate[:n], alpha=price.level, hold=price.hold)
        last = alpha_budget.last_level(known, taken)
        if stopping_rule.end(result, n, PLAN, price.level, last):
            return Tried(result.verdict, n)
    raise AssertionError("a plan ends with its last look")


def ideas(count: int, effect: float, stream: int) -> tuple[list[Tried], np.ndarray]:
    """So many ideas of one true effect (in sd), and which of them one look at the last n calls progress."""
    rng = np.random.default_rng([SEED, stream])
    arms = rng.normal(size=(2, count, PLAN[-1]))
    arms[1] += effect
    found = [tried(one, other) for one, other in zip(*arms, strict=True)]
    always = [compare(one, other, alpha=ALPHA).verdict == "progress" for one, other in zip(*arms, strict=True)]
    return found, np.array(always)


def rows(count: int) -> Iterator[Row]:
    for effect in (0.0, -0.5, -1.0):
        found, _ = ideas(count, effect, int(10 - 10 * effect))
        saved = 1 - float(np.mean([one.n for one in found])) / PLAN[-1]
        yield Row(f"{effect:+g} sd: seeds saved against always n={PLAN[-1]}", saved, ">= 0.5", saved >= 0.5)
        if not effect:
            wrong = float(np.mean([one.verdict in ("progress", "regression") for one in found]))
            bound = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / count)
            yield Row("+0 sd: any wrong verdict", wrong, f"<= {bound:.4f}", wrong <= bound)
    found, always = ideas(count, 2.0, 30)
    power = float(np.mean([one.verdict == "progress" for one in found]))
    lost = float(always.mean()) - power
    yield Row(f"+2 sd: power lost against always n={PLAN[-1]}", lost, "<= 0.01", lost <= 0.01)
    saved = 1 - float(np.mean([one.n for one in found])) / PLAN[-1]
    yield Row("+2 sd: seeds saved", saved, "for comparison", True)
    found, always = ideas(count, 1.0, 31)
    lost = float(always.mean()) - float(np.mean([one.verdict == "progress" for one in found]))
    yield Row(f"+1 sd: power lost against always n={PLAN[-1]}", lost, "for comparison", True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ideas", type=int, default=4_000)
    table = [
        (one.what, f"{one.measured:.4f}", one.bound, "yes" if one.holds else "NO")
        for one in rows(parser.parse_args().ideas)
    ]
    print(tabulate(table, ("what", "measured", "bound", "holds"), tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
