"""`assay fidelity` on made-up settings: how often its intervals hold the truth; seeds fixed before the first look.

True means of settings under both profiles are drawn from a population, replicates scatter around them with spread 1.
The share is held against that of 40,000 independent pairs of the population, the correlation against the one drawn.

    OMP_NUM_THREADS=1 python benchmarks/fidelity.py            # five minutes of CPU
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from assay.stats import profile_fidelity, true_mean_correlation
from assay.stats.difference_estimate import welch
from assay.stats.profile_fidelity import ProfilePair

SEED = 20261130
BOUND = 0.93
Array = NDArray[np.float64]


def normal(rng: np.random.Generator, count: int, rho: float) -> Array:
    z = rng.standard_normal((count, 2))
    return np.stack([z[:, 0], rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]], axis=1)


def heavy(rng: np.random.Generator, count: int, rho: float) -> Array:
    """A few settings are far off under both profiles: t with 4 degrees of freedom."""
    return normal(rng, count, rho) / np.sqrt(rng.chisquare(4, count) / 4)[:, None]


def clusters(rng: np.random.Generator, count: int, rho: float) -> Array:
    """A third of the settings train badly."""
    return 0.5 * normal(rng, count, rho) - 2.0 * (rng.random(count) < 1 / 3)[:, None]


POPULATIONS: dict[str, Callable[[np.random.Generator, int, float], Array]] = {
    "normal": normal,
    "heavy tails": heavy,
    "two clusters": clusters,
}


def design(
    rng: np.random.Generator, population: str, count: int, rho: float, spread: float, n: tuple[int, int]
) -> tuple[Array, Array]:
    """Replicates (count, n[0]) under full and (count, n[1]) under fast."""
    true = spread * POPULATIONS[population](rng, count, rho)
    return (true[:, :1] + rng.standard_normal((count, n[0])), true[:, 1:] + rng.standard_normal((count, n[1])))


def true_share(population: str, rho: float, spread: float, n: tuple[int, int]) -> float:
    rng = np.random.default_rng([SEED, 1])
    full, fast = design(rng, population, 80_000, rho, spread, n)
    mean, var = full.mean(axis=1), full.var(axis=1, ddof=1)
    gap = mean[::2] - mean[1::2]
    apart = welch(gap, var[::2], n[0], var[1::2], n[0]).p <= profile_fidelity.SEPARATED
    alike = np.sign(gap) == np.sign(fast.mean(axis=1)[::2] - fast.mean(axis=1)[1::2])
    return float(alike[apart].mean())


def share_held(
    population: str, count: int, rho: float, spread: float, n: tuple[int, int], designs: int
) -> tuple[float, float]:
    """Share of designs whose interval of the share holds the truth, and its mean width."""
    truth = true_share(population, rho, spread, n)
    rng = np.random.default_rng([SEED, 2, count, round(100 * rho), round(10 * spread), sum(n)])
    held, widths = [], []
    for _ in range(designs):
        full, fast = design(rng, population, count, rho, spread, n)
        agreed = profile_fidelity.agreement([ProfilePair(list(a), list(b)) for a, b in zip(full, fast, strict=True)])
        if not np.isnan(agreed).all():
            low, high = profile_fidelity.share_interval(agreed, 0.05)
            held.append(low <= truth <= high)
            widths.append(high - low)
    return float(np.mean(held)), float(np.mean(widths))


def correlation_held(count: int, rho: float, spread: float, n: tuple[int, int], designs: int) -> tuple[float, float]:
    """The same of the correlation of true means, drawn from a normal population."""
    rng = np.random.default_rng([7, count])
    held, widths = [], []
    for _ in range(designs):
        full, fast = design(rng, "normal", count, rho, spread, n)
        found = true_mean_correlation.fit(full.tolist(), fast.tolist(), 0.05)
        low, high = found.ci if found else (-1.0, 1.0)
        held.append(low <= rho <= high)
        widths.append(high - low)
    return float(np.mean(held)), float(np.mean(widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=400)
    parser.add_argument("--correlations", type=int, default=150, help="designs a row of the second table: 0.1 s each")
    asked = parser.parse_args()
    grid = list(itertools.product((6, 12, 24), (0.0, 0.6, 0.9), ((1.0, (3, 3)), (3.0, (5, 3)))))
    names = ("settings", "correlation", "spread", "n", "held", "width", "holds")
    rows = []
    for population, (count, rho, (spread, n)) in itertools.product(POPULATIONS, grid):
        held, width = share_held(population, count, rho, spread, n, asked.designs)
        rows.append((population, *_row(count, rho, spread, n, held, width)))
    print("share of separated pairs\n")
    print(tabulate(rows, ("drawn from", *names), tablefmt="github", disable_numparse=True), flush=True)
    rows = [_row(*one, *correlation_held(*one, asked.correlations)) for one in ((c, r, *rest) for c, r, rest in grid)]
    print("\ncorrelation of true means\n")
    print(tabulate(rows, names, tablefmt="github", disable_numparse=True))
    print(f"\nbound: {BOUND} of the intervals hold the truth")


def _row(count: int, rho: float, spread: float, n: tuple[int, int], held: float, width: float) -> tuple[object, ...]:
    ends = f"{held:.3f}", f"{width:.2f}", "yes" if held >= BOUND else "NO"
    return count, f"{rho:g}", f"{spread:g} sd", f"{n[0]}, {n[1]}", *ends


if __name__ == "__main__":
    main()
