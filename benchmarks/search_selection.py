"""What the best of a search looks like, and what it is: raw, shrunk and fresh, over simulated searches; seeds fixed.

True values of k settings are drawn with a spread (normal, or skewed: most are poor, the good ones alike), replicates
with sd 1 and a seed effect that all settings share; the best is chosen as `assay search` does, with and without more
replicates for contenders. The bias is what the estimate says less what the chosen setting is, in sd of a training.

    OMP_NUM_THREADS=1 python benchmarks/search_selection.py                 # 2,000 searches a cell
"""

from __future__ import annotations

import argparse

import numpy as np
from tabulate import tabulate

from assay.stats import selection_estimates as selection

SEED = 20261130
SPREADS, SETTINGS, REPLICATES = (0.0, 0.3, 1.0), (5, 8, 10, 16, 32, 64), (2, 3)
#: sd of what a seed adds to every setting
SHARED = 0.5
#: fewest settings → largest bias
BOUNDS = {32: 0.2, 10: 0.3}


def truth(rng: np.random.Generator, shape: str, spread: float, size: tuple[int, int]) -> np.ndarray:
    return spread * (rng.normal(size=size) if shape == "normal" else -rng.exponential(size=size))


def cell(rng: np.random.Generator, shape: str, spread: float, k: int, r: int, doubled: bool, searches: int) -> list:
    true = truth(rng, shape, spread, (searches, k))
    seeds = SHARED * rng.normal(size=(searches, 1, 2 * r))
    drawn = true[..., None] + seeds + rng.normal(size=(searches, k, 2 * r))
    base, extra = drawn[..., :r], np.full((searches, k, r), np.nan)
    if doubled:
        chosen = selection.contenders(base, extra)
        extra = np.where(chosen[..., None], drawn[..., r:], np.nan)
    best = selection.ranking(base, extra)[:, :1]
    found = np.take_along_axis(true, best, -1)[:, 0]
    raw, shrunk = selection.raw(base, extra)[:, 0] - found, selection.shrunk(base, extra)[:, 0] - found
    fresh = rng.normal(size=searches) / np.sqrt(10)
    allowed = next((bound for fewest, bound in BOUNDS.items() if k >= fewest), None)
    holds = "confirm" if allowed is None else "yes" if abs(shrunk.mean()) <= allowed else "NO"
    rms = [float(np.sqrt((each**2).mean())) for each in (raw, shrunk)]
    return [
        shape,
        f"{spread:g} sd",
        k,
        r,
        "yes" if doubled else "no",
        raw.mean(),
        shrunk.mean(),
        fresh.mean(),
        *rms,
        holds,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=2000)
    asked = parser.parse_args()
    rng, rows = np.random.default_rng(SEED), []
    shapes = [("normal", SPREADS), ("skewed", SPREADS[1:])]
    for shape, spreads in shapes:
        for spread in spreads:
            for k in SETTINGS:
                for r in REPLICATES:
                    rows += [cell(rng, shape, spread, k, r, doubled, asked.searches) for doubled in (False, True)]
    heads = (
        "true values",
        "spread",
        "k",
        "r",
        "doubled",
        "raw",
        "shrunk",
        "confirmed",
        "rms raw",
        "rms shrunk",
        "holds",
    )
    print(tabulate(rows, heads, tablefmt="github", floatfmt=".2f"))
    print(f"\n{asked.searches} searches a cell; {sum(row[-1] == 'NO' for row in rows)} of {len(rows)} cells miss")


if __name__ == "__main__":
    main()
