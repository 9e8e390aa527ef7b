"""Importance of parameters from 64 quasi-random settings: four methods on made-up responses, seeds fixed beforehand.

Six parameters: the first explains twice the variance of the second, the other four do nothing. Noise is in units of the
standard deviation of what both explain together. The degree of the regression was chosen on other seeds than these.

    OMP_NUM_THREADS=1 python benchmarks/importance.py            # 200 designs a row; the forest on 60
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc
from sklearn.ensemble import RandomForestRegressor
from tabulate import tabulate

from assay.stats import parameter_importance

SEED, SETTINGS, PARAMETERS, NULLS = 20261201, 64, 6, 200
Array = NDArray[np.float64]
#: what one parameter adds, over its range 0 to 1; scaled to a variance of 1 below
SHAPES: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "peak in the middle": lambda x: -((x - 0.5) ** 2),
    "lopsided peak": lambda x: -((x - 0.7) ** 2),
    "cliff above": lambda x: -1.0 * (x > 0.75),
    "saturating": lambda x: 1 - np.exp(-4 * x),
    "narrow peak": lambda x: np.exp(-(((x - 0.6) / 0.15) ** 2)),
    "steep to one side": lambda x: -np.exp(5 * x),
}
NOISES = (0.25, 0.5)


def response(shape: str, points: Array, noise: float, rng: np.random.Generator) -> Array:
    grid = SHAPES[shape](np.linspace(0, 1, 2001))
    parts = (SHAPES[shape](points[:, :2]) - grid.mean()) / grid.std()
    signal = np.sqrt(2 / 3) * parts[:, 0] + np.sqrt(1 / 3) * parts[:, 1]
    return signal + noise * rng.standard_normal(len(points))


def rank_regression(points: Array, values: Array, degree: int) -> Array:
    groups = {str(place): parameter_importance.polynomials(points[:, place], degree) for place in range(PARAMETERS)}
    found = parameter_importance.shares(groups, parameter_importance.normal_scores(values.tolist()))
    return np.array([found[str(place)] for place in range(PARAMETERS)])


def forest_fanova(points: Array, values: Array) -> Array:
    """Share of the forest's variance that the marginal of each parameter has (Hutter, Hoos, Leyton-Brown 2014)."""
    forest = RandomForestRegressor(50, min_samples_leaf=2, random_state=0).fit(points, values)
    others, grid = qmc.Sobol(points.shape[1], seed=0).random_base2(6), np.linspace(0.03, 0.97, 12)
    whole, found = float(np.var(forest.predict(others))) or 1.0, []
    for place in range(points.shape[1]):
        made = np.repeat(others[None], len(grid), axis=0)
        made[:, :, place] = grid[:, None]
        found.append(np.var(forest.predict(made.reshape(-1, points.shape[1])).reshape(len(grid), -1).mean(axis=1)))
    return np.array(found) / whole


def ped_anova(points: Array, values: Array) -> Array:
    """Pearson divergence of the best quarter's density from that of all (Watanabe, Bansal, Hutter 2023)."""
    best = values >= np.quantile(values, 0.75)
    grid, found = np.linspace(0.01, 0.99, 50), []
    for place in range(points.shape[1]):
        densities = []
        for part in (points[best, place], points[:, place]):
            width = max(0.05, 1.06 * part.std() * len(part) ** -0.2)
            kernel = np.exp(-0.5 * ((grid[:, None] - part) / width) ** 2).sum(axis=1)
            densities.append(kernel / kernel.mean())
        found.append(float(np.mean(densities[1] * (densities[0] / densities[1] - 1) ** 2)))
    return np.array(found)


METHODS = {
    "ranks, quadratic": partial(rank_regression, degree=2),
    "ranks, cubic": partial(rank_regression, degree=3),
    "forest fANOVA": forest_fanova,
    "PED-ANOVA": ped_anova,
}


def points_of(seed: int) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(qmc.Sobol(PARAMETERS, seed=seed).random(SETTINGS))


def line(method: str) -> float:
    """What chance gives the largest importance, 95 % of the time."""
    rng = np.random.default_rng([SEED, 0])
    drawn = [METHODS[method](points_of(seed), rng.standard_normal(SETTINGS)).max() for seed in range(NULLS)]
    return float(np.quantile(drawn, 0.95))


def named(method: str, shape: str, noise: float, designs: int, above: float) -> tuple[float, float]:
    """Shares of designs in which the first parameter is the largest, and in which any inert one is above the line."""
    rng, first, inert = np.random.default_rng([SEED, 1, list(SHAPES).index(shape), round(100 * noise)]), 0, 0
    for design in range(designs):
        points = points_of(5000 + design)
        found = METHODS[method](points, response(shape, points, noise, rng))
        first += int(np.argmax(found)) == 0
        inert += bool((found[2:] > above).any())
    return first / designs, inert / designs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=200)
    parser.add_argument("--forest-designs", type=int, default=60)
    asked = parser.parse_args()
    table = []
    for method in METHODS:
        designs, above = asked.forest_designs if method == "forest fANOVA" else asked.designs, line(method)
        bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / designs)
        for shape in SHAPES:
            for noise in NOISES:
                right, inert = named(method, shape, noise, designs, above)
                holds = "yes" if right >= 0.95 and inert <= bound else "NO"
                table.append((method, shape, f"{noise:g}", f"{right:.3f}", f"{inert:.3f}", holds))
    names = ("method", "response", "noise", "first named first", "any inert named", "holds")
    print(tabulate(table, names, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
