"""`assay rates` on small real and made-up problems: how near the best rate of a full sweep it comes; seeds fixed.

Eight problems, three optimizers each: a hidden layer or none, 300 steps of 32 examples. The truth is the best of
sixteen rates in full over five seeds. Beside it: the best rate after a tenth of the steps; the best of the rates that
`--confirm` trains in full on three other seeds; and the classic range test, one training whose rate rises from the
smallest to the largest: a tenth of where its loss is lowest, and where it falls steepest. Which rates are confirmed was
chosen on other seeds. No torch: lanes of NumPy.

    OMP_NUM_THREADS=1 python benchmarks/rates.py            # a few minutes
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from tabulate import tabulate

from assay.stats.rate_range import beyond, rate_range

SEED, STEPS, BATCH, HIDDEN, RATES, FACTOR = 20261202, 300, 32, 24, 16, 3.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """`classes`: 0 for a regression; `hidden`: units, 0 for a linear model."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    classes: int
    hidden: int


def problem(x: Array, y: Array, classes: int, hidden: int = HIDDEN) -> Problem:
    rng = np.random.default_rng([SEED, len(x)])
    order = rng.permutation(len(x))[:900]
    x = ((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9))[order] if hidden or classes else x[order]
    y = y[order] if classes else ((y - y.mean()) / y.std())[order]
    cut = len(x) * 2 // 3
    return Problem((x[:cut], y[:cut]), (x[cut:], y[cut:]), classes, hidden)


def problems() -> dict[str, Problem]:
    rng = np.random.default_rng(SEED)
    wide = rng.standard_normal((900, 20)) * np.logspace(0, -1.5, 20)  # directions of very different curvature
    teacher = rng.standard_normal((900, 10))
    target = np.tanh(teacher @ rng.standard_normal((10, 6))) @ rng.standard_normal(6)
    moons, which = datasets.make_moons(900, noise=0.2, random_state=1)
    many, label = datasets.make_classification(900, 30, n_informative=8, n_classes=3, random_state=1)
    return {
        "digits": problem(*datasets.load_digits(return_X_y=True), 10),
        "wine": problem(*datasets.load_wine(return_X_y=True), 3),
        "breast cancer": problem(*datasets.load_breast_cancer(return_X_y=True), 2),
        "diabetes": problem(*datasets.load_diabetes(return_X_y=True), 0),
        "two moons": problem(moons, which, 2),
        "many inputs": problem(many, label, 3),
        "teacher": problem(teacher, target + 0.1 * rng.standard_normal(900), 0),
        "ill-conditioned": problem(wide, wide @ rng.standard_normal(20), 0, hidden=0),
    }


#: optimizer → the rate that HEAD has
OPTIMIZERS = {"sgd": 0.03, "momentum": 0.01, "adam": 0.003}


class Lanes:
    """Models that train beside each other, one a rate and seed: weights (L, in, out)."""

    def __init__(self, given: Problem, optimizer: str, seeds: Sequence[int]) -> None:
        self.given, self.optimizer, self.count = given, optimizer, len(seeds)
        sizes = [given.train[0].shape[1], *([given.hidden] if given.hidden else []), max(1, given.classes)]
        rngs = [np.random.default_rng([SEED, 1, seed]) for seed in seeds]
        self.weights = [
            np.stack([rng.standard_normal((a, b)) / np.sqrt(a) for rng in rngs]) for a, b in itertools.pairwise(sizes)
        ]
        self.weights += [np.zeros((self.count, 1, b)) for b in sizes[1:]]
        self.first = [np.zeros_like(one) for one in self.weights]
        self.second = [np.zeros_like(one) for one in self.weights]
        self.order = [rng.integers(0, len(given.train[0]), (STEPS, BATCH)) for rng in rngs]

    def forward(self, x: Array) -> tuple[Array, Array]:
        layers = len(self.weights) // 2
        hidden = x
        for place in range(layers - 1):
            hidden = np.tanh(hidden @ self.weights[place] + self.weights[layers + place])
        return hidden, hidden @ self.weights[layers - 1] + self.weights[-1]

    def losses(self, x: Array, y: Array) -> Array:
        """(L,) mean losses; `x` (N, in) or (L, N, in)."""
        return self._loss(self.forward(x)[1], y)[0]

    def _loss(self, out: Array, y: Array) -> tuple[Array, Array]:
        """(L,) losses and their gradient with respect to `out`."""
        if not self.given.classes:
            off = out[..., 0] - y
            return (off**2).mean(axis=-1), 2 * off[..., None] / off.shape[-1]
        shifted = out - out.max(axis=-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        wanted = np.broadcast_to(np.eye(self.given.classes)[y], logs.shape)
        return -(logs * wanted).sum(axis=-1).mean(axis=-1), (np.exp(logs) - wanted) / logs.shape[-2]

    def step(self, number: int, rates: Array) -> Array:
        """One step at (L,) rates; the loss before it."""
        x = np.stack([self.given.train[0][order[number]] for order in self.order])
        y = np.stack([self.given.train[1][order[number]] for order in self.order])
        hidden, out = self.forward(x)
        loss, slope = self._loss(out, y)
        layers = len(self.weights) // 2
        gradients = [np.zeros(())] * len(self.weights)
        gradients[layers - 1], gradients[-1] = hidden.swapaxes(1, 2) @ slope, slope.sum(axis=1, keepdims=True)
        if layers == 2:
            inner = (slope @ self.weights[1].swapaxes(1, 2)) * (1 - hidden**2)
            gradients[0], gradients[2] = x.swapaxes(1, 2) @ inner, inner.sum(axis=1, keepdims=True)
        for place, gradient in enumerate(gradients):
            self.weights[place] = self.weights[place] - rates[:, None, None] * self._direction(place, gradient, number)
        return loss

    def _direction(self, place: int, gradient: Array, number: int) -> Array:
        if self.optimizer == "sgd":
            return gradient
        if self.optimizer == "momentum":
            self.first[place] = 0.9 * self.first[place] + gradient
            return self.first[place]
        self.first[place] = 0.9 * self.first[place] + 0.1 * gradient
        self.second[place] = 0.999 * self.second[place] + 0.001 * gradient**2
        mean, square = self.first[place] / (1 - 0.9 ** (number + 1)), self.second[place] / (1 - 0.999 ** (number + 1))
        return np.asarray(mean / (np.sqrt(square) + 1e-8))


def trained(given: Problem, optimizer: str, rates: Sequence[float], seeds: Sequence[int], steps: int) -> Array:
    """Validation losses (rates, seeds) after `steps`; infinite where a training diverged."""
    lanes = Lanes(given, optimizer, [seed for _ in rates for seed in seeds])
    each = np.repeat(np.asarray(rates, float), len(seeds))
    with np.errstate(all="ignore"):
        for number in range(steps):
            lanes.step(number, each)
        found = lanes.losses(*given.validation).reshape(len(rates), len(seeds))
    return np.where(np.isfinite(found), found, np.inf)


def range_test(given: Problem, optimizer: str, low: float, high: float) -> tuple[float, float]:
    """A tenth of the rate of the lowest loss, and the rate at which the loss falls steepest (Smith 2017)."""
    lanes = Lanes(given, optimizer, [99])
    rates, losses, smooth = np.geomspace(low, high, STEPS), [], 0.0
    with np.errstate(all="ignore"):
        for number, rate in enumerate(rates):
            smooth = 0.9 * smooth + 0.1 * float(lanes.step(number, np.array([rate]))[0])
            losses.append(smooth / (1 - 0.9 ** (number + 1)))
            if not np.isfinite(smooth) or losses[-1] > 4 * min(losses):
                break
    known = np.array(losses)
    lowest = int(np.argmin(np.where(np.isfinite(known), known, np.inf)))
    skipped = STEPS // 10  # the mean of the first losses is that of a few examples
    falls = np.gradient(known[skipped : max(skipped + 2, lowest + 1)])
    return float(rates[lowest] / 10), float(rates[skipped + int(np.argmin(falls))])


def case(given: Problem, optimizer: str) -> dict[str, float]:
    """Rate that each way chooses."""
    now = OPTIMIZERS[optimizer]
    rates = [float(f"{rate:.3g}") for rate in np.geomspace(now / 100, now * 100, RATES)]
    truth = trained(given, optimizer, rates, range(10, 15), STEPS).mean(axis=1)
    short = trained(given, optimizer, rates, range(3), STEPS // 10)
    losses = {
        rate: [loss if np.isfinite(loss) else None for loss in row] for rate, row in zip(rates, short, strict=True)
    }
    found = rate_range(losses)
    assert found is not None
    confirmed = list(found.confirm)
    ends = trained(given, optimizer, confirmed, range(3, 6), STEPS).mean(axis=1)
    if (more := beyond(found, confirmed[int(np.argmin(ends))])) is not None:
        confirmed.append(more)
        ends = np.append(ends, trained(given, optimizer, [more], range(3, 6), STEPS).mean(axis=1))
    tenth, steepest = range_test(given, optimizer, rates[0], rates[-1])
    return {
        "full sweep": rates[int(np.argmin(truth))],
        "after --confirm": confirmed[int(np.argmin(ends))],
        "few steps alone": found.best,
        "range test, a tenth": tenth,
        "range test, steepest": steepest,
    }


def main(say: Callable[[str], None] = print) -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows, within = [], dict[str, list[bool]]()
    for name, given in problems().items():
        for optimizer in OPTIMIZERS:
            found = case(given, optimizer)
            best = found["full sweep"]
            for way, rate in found.items():
                within.setdefault(way, []).append(bool(abs(np.log(rate / best)) <= np.log(FACTOR * 1.02)))
            rows.append((name, optimizer, *(f"{rate:.2g}" for rate in found.values())))
    say(tabulate(rows, ("problem", "optimizer", *within), tablefmt="github", disable_numparse=True))
    shares = [(way, f"{np.mean(known):.2f}") for way, known in within.items()]
    say("\n" + tabulate(shares, ("way", f"within a factor {FACTOR:g}"), tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
