"""Makes `src/assay/stats/sequential_levels_table.py`: the levels at which declared looks are tested.

For every plan of two or more of the n below: pairs of normal arms are grown through the plan, Student's t is
taken at each n, and the level of each look is the quantile of its p among the pairs not yet decided that
spends alpha in proportion to n (Kim & DeMets 1987, Biometrika 74:149, their power family with exponent 1).
Student's p is uniform at each n under the null, so only the dependence between looks is calibrated.

    python benchmarks/judge_looks.py > src/assay/stats/sequential_levels_table.py      # 4 million pairs, 15 s
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from assay.stats import difference_estimate

REPLICATES = (3, 5, 10, 20, 40)
ALPHA = 0.05
CHUNKS, CHUNK = 80, 50_000
SEED = 20240601

HEADER = '''"""Levels of declared looks; made by benchmarks/judge_looks.py ({pairs:,} pairs, seed {seed})."""

#: replicates at each look → level of each look; together they spend {alpha}
LEVELS: dict[tuple[int, ...], tuple[float, ...]] = {{'''


def null_p(rng: np.random.Generator, pairs: int) -> NDArray[np.float64]:
    """(looks, pairs) p of Student's test at each n, for arms that grow."""
    arms = rng.standard_normal((2, REPLICATES[-1], pairs))
    p = []
    for n in REPLICATES:
        part = arms[:, :n]
        mean, variance = part.mean(axis=1), part.var(axis=1, ddof=1)
        p.append(difference_estimate.student(mean[1] - mean[0], variance[0], n, variance[1], n).p)
    return np.array(p)


def levels(p: NDArray[np.float64], plan: tuple[int, ...]) -> tuple[float, ...]:
    """The level of each look of `plan`, given (looks, pairs) null p at its n."""
    found, running, total, before = [], np.ones(p.shape[1], dtype=bool), p.shape[1], 0
    for at, n in zip(p, plan, strict=True):
        spend = round(ALPHA * (n - before) / plan[-1] * total)
        level = float(np.partition(at[running], spend)[spend])
        found.append(round(level, 6))
        running &= at > level
        before = n
    return tuple(found)


def main() -> None:
    rng = np.random.default_rng(SEED)
    p = np.concatenate([null_p(rng, CHUNK) for _ in range(CHUNKS)], axis=1)
    print(HEADER.format(pairs=CHUNKS * CHUNK, seed=SEED, alpha=ALPHA))
    for size in range(2, len(REPLICATES) + 1):
        for chosen in itertools.combinations(range(len(REPLICATES)), size):
            plan = tuple(REPLICATES[i] for i in chosen)
            print(f"    {plan}: {levels(p[list(chosen)], plan)},")
    print("}")


if __name__ == "__main__":
    main()
