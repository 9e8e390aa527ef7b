"""`assay sensitivity` on made-up responses: is the first parameter named, are inert ones left alone; seeds fixed.

Six parameters, each a step down and up from the centre, on ten shared seeds. The first moves the metric twice as far as
the second, the other four do nothing. Noise is in units of the standard deviation of paired differences.

    OMP_NUM_THREADS=1 python benchmarks/sensitivity.py            # 200 designs a row
"""

from __future__ import annotations

import argparse

import numpy as np
from tabulate import tabulate

from assay.stats.compare_arms import MeasuredArm
from assay.stats.one_factor import MATTERS, one_factor

SEED = 20261130
N, PARAMETERS = 10, 6
#: shape → the metric at one step down and one step up, against the centre, for an effect of 1
SHAPES = {
    "linear": (-1.0, 1.0),
    "peak at the centre": (-1.0, -1.0),
    "valley at the centre": (1.0, 1.0),
    "cliff above": (0.0, -1.0),
    "saturating": (-1.0, 0.1),
    "only up": (0.0, 1.0),
    "lopsided peak": (-0.3, -1.0),
}


def named(shape: str, effect: float, designs: int, stream: int = 0) -> tuple[float, float]:
    """Shares of designs in which the first parameter is named first, and any inert one is said to matter."""
    rng = np.random.default_rng([SEED, stream, list(SHAPES).index(shape)])
    first, inert = 0, 0
    for _ in range(designs):
        seeds = rng.normal(0, 3, N)
        sizes = (effect, effect / 2, 0, 0, 0, 0)
        levels = {
            (f"p{number}", side): _arm(seeds, rng, size * SHAPES[shape][(side + 1) // 2])
            for number, size in enumerate(sizes)
            for side in (-1, 1)
        }
        centre = {f"p{number}": 0 for number in range(PARAMETERS)}
        found = one_factor(
            _arm(seeds, rng, 0.0), levels, centre, "maximize", alpha=0.05, min_effect=0.0, worst=None, distinct=True
        )
        first += found[0].word == MATTERS and found[0].key == "p0"
        inert += any(one.word == MATTERS for one in found if one.key in ("p2", "p3", "p4", "p5"))
    return first / designs, inert / designs


def _arm(seeds: np.ndarray, rng: np.random.Generator, shift: float) -> MeasuredArm:
    values = seeds + shift + rng.normal(0, np.sqrt(0.5), N)  # differences of two have spread 1
    return MeasuredArm(list(enumerate(values.tolist())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=200)
    designs = parser.parse_args().designs
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / designs)
    table = []
    for shape in SHAPES:
        for stream, effect in enumerate((3.0, 6.0)):
            right, inert = named(shape, effect, designs, stream)
            holds = right >= 0.95 and inert <= bound
            table.append((shape, f"{effect:g} sd", f"{right:.3f}", f"{inert:.3f}", "yes" if holds else "NO"))
    print(tabulate(table, ("response", "first parameter", "named first", "inert named", "holds"), tablefmt="github"))
    print(f"\nbounds: named first >= 0.95, any of four inert ones <= {bound:.3f}")


if __name__ == "__main__":
    main()
