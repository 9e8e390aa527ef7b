"""`assay tune` on candidates that are the baseline again, and on good ones; seeds fixed.

Both arms respond to the nuisance parameter alike: one value is best, the others lie a gap below it (`spike`), or values
fall off to both sides (`tent`). Values are searched, chosen and judged by `stats.equal_tuning`, as the command does it;
only trainings are replaced by normal draws. Beside it what people do: each arm's best value, one test.

    OMP_NUM_THREADS=1 python benchmarks/equal_tuning.py             # 500 candidates a row
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from assay.stats import compare_arms, equal_tuning
from assay.stats.compare_arms import MeasuredArm

SEED = 20261130
LEVEL = 0.04  # the first look without a plan, at alpha 0.05
REPLICATES = 10
VALUES, GAPS = (2, 4, 8), (0.0, 0.5, 1.0, 2.0, 3.0)


class TunedOnce(NamedTuple):
    """One candidate: progress by equal tuning, progress by each arm's best, trainings of the search."""

    progress: bool
    naive: bool
    searched: int


def response(shape: str, values: int, gap: float) -> np.ndarray:
    """(values,) true means in sd, the best is 0."""
    if shape == "spike" or values == 2:
        return np.r_[0.0, np.full(values - 1, -gap)]
    return -gap * np.abs(np.linspace(-1, 1, values))


def once(rng: np.random.Generator, means: np.ndarray, gain: float) -> TunedOnce:
    searched = rng.normal(size=(len(means), equal_tuning.ROUNDS[-1])) + means[:, None] + gain
    left, trainings = [str(number) for number in range(len(means))], 0
    for before, n in zip((0, *equal_tuning.ROUNDS), equal_tuning.ROUNDS, strict=False):
        trainings += (n - before) * len(left)
        found = {name: arm(searched[int(name), :n]) for name in left}
        left = equal_tuning.contenders(found, "maximize", None, n)
        if len(left) == 1:
            break
    best = int(equal_tuning.chosen(found, "maximize", None))
    n = equal_tuning.replicates(len(means), LEVEL, REPLICATES)
    fresh = arm(rng.normal(size=n) + means[best] + gain)
    grid = {str(number): arm(rng.normal(size=n) + mean) for number, mean in enumerate(means)}
    judged = equal_tuning.judged(
        fresh, grid, "maximize", test="welch", level=LEVEL, min_effect=0.0, worst=None, distinct=True
    )
    return TunedOnce(judged.verdict == "progress", not gain and _naive(rng, means, gain), trainings)


def _naive(rng: np.random.Generator, means: np.ndarray, gain: float) -> bool:
    """Each arm at the value that was best on three seeds of its own, compared by one test on fresh ones."""
    searched = rng.normal(size=(2, len(means), equal_tuning.ROUNDS[0])) + means[:, None]
    chosen = means[searched.mean(axis=2).argmax(axis=1)] + np.array([0.0, gain])
    best = [arm(rng.normal(size=REPLICATES) + mean) for mean in chosen]
    found = compare_arms.compare_arms(
        *best, "maximize", test="welch", alpha=LEVEL, min_effect=0.0, worst=None, distinct=True
    )
    return found.verdict == "progress"


def arm(values: np.ndarray) -> MeasuredArm:
    return MeasuredArm(list(enumerate(values.tolist())))


def shares(shape: str, values: int, gap: float, gain: float, candidates: int, stream: int = 0) -> tuple[float, ...]:
    """Shares of candidates with progress by equal tuning and by each arm's best; mean trainings of the search."""
    rng = np.random.default_rng([SEED, stream, values, int(10 * gap), int(10 * gain), shape == "spike"])
    found = [once(rng, response(shape, values, gap), gain) for _ in range(candidates)]
    return tuple(float(np.mean(column)) for column in zip(*found, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=500)
    count = parser.parse_args().candidates
    bound = 0.025 + 3 * np.sqrt(0.025 * 0.975 / count)
    table = []
    for shape in ("spike", "tent"):
        for values in VALUES if shape == "spike" else VALUES[1:]:
            for gap in GAPS:
                false, naive, _ = shares(shape, values, gap, 0.0, count)
                power, _, searched = shares(shape, values, gap, 2.0, count)
                holds = "yes" if false <= bound and power >= 0.93 else "NO"
                found = (f"{false:.4f}", f"{naive:.3f}", f"{power:.3f}", f"{searched:.1f}", holds)
                table.append((shape, values, f"{gap:g} sd", *found))
    heads = ("response", "values", "gap", "false progress", "by each arm's best", "+2 sd found", "searched", "holds")
    print(tabulate(table, heads, tablefmt="github", disable_numparse=True))
    print(f"\nbounds: false progress <= {bound:.4f}, +2 sd found >= 0.93")


if __name__ == "__main__":
    main()
