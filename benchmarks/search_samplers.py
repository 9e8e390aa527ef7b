"""Who finds the better setting at the same budget: Sobol, random, grid, TPE after 16 or 64 points; seeds fixed.

Six synthetic spaces and three real ones: tables of scikit-learn's models on bundled data, every setting trained on five
seeds, so that a search reads a training and does none. A search sees each setting on two replicates with noise; what
counts is the true value of the setting that it would choose. TPE is asked in generations, as `assay search` asks it.

    OMP_NUM_THREADS=1 python benchmarks/search_samplers.py                  # 50 repeats, about an hour on one core
    OMP_NUM_THREADS=1 python benchmarks/search_samplers.py --processes 2    # the same numbers in half of it
    OMP_NUM_THREADS=1 python benchmarks/search_samplers.py --repeats 5 --settings 64
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tabulate import tabulate

from assay.core import search_section
from assay.core.search_space import SearchSpace, Setting
from assay.search import generations
from assay.search.generations import Proposal, ToldSetting

SEED = 20261130
REPLICATES, NOISE = 2, 0.1
METHODS = ("sobol", "random", "grid", "random, TPE", "16, TPE", "64, TPE")


class Problem(NamedTuple):
    name: str
    space: SearchSpace
    true: Callable[[Setting], float]
    seen: Callable[[Setting, np.random.Generator], float]


def synthetic() -> list[Problem]:
    def logs(*names: str) -> dict:
        return {name: {"log": [1e-4, 1e0]} for name in names}

    def place(setting: Setting, name: str) -> float:
        """In [0, 1], of a parameter on a logarithmic scale."""
        return (math.log10(setting[name]) + 4) / 4

    def bowl(s: Setting) -> float:
        return -4 * (place(s, "a") - 0.6) ** 2 - 4 * (place(s, "b") - 0.3) ** 2

    def ridge(s: Setting) -> float:
        return -8 * (place(s, "a") + place(s, "b") - 1.1) ** 2 - 0.5 * (place(s, "a") - 0.7) ** 2

    def two_of_eight(s: Setting) -> float:
        return -4 * (place(s, "a") - 0.7) ** 2 - 2 * (place(s, "b") - 0.4) ** 2

    def cliff(s: Setting) -> float:
        return place(s, "a") - 0.5 * (place(s, "b") - 0.5) ** 2 if place(s, "a") < 0.75 else -2.0

    def peaks(s: Setting) -> float:
        a, b = place(s, "a"), place(s, "b")
        return math.exp(-30 * ((a - 0.8) ** 2 + (b - 0.2) ** 2)) + 0.7 * math.exp(
            -8 * ((a - 0.3) ** 2 + (b - 0.7) ** 2)
        )

    def branches(s: Setting) -> float:
        base = {"adam": 0.2, "sgd": 0.0, "none": -1.0}[s["kind"]] - 3 * (place(s, "a") - 0.5) ** 2
        return base + (0.5 - 6 * (s["momentum"] - 0.9) ** 2 if s["kind"] == "sgd" else 0.0)

    kinds = {
        "kind": {"choice": ["adam", "sgd", "none"]},
        **logs("a"),
        "momentum": {"float": [0.0, 0.99], "when": "kind=sgd"},
    }
    described = [
        ("bowl, 2 keys", logs("a", "b"), bowl),
        ("ridge, 3 keys", logs("a", "b", "c"), ridge),
        ("2 of 8 keys matter", logs(*"abcdefgh"), two_of_eight),
        ("cliff, 4 keys", logs(*"abcd"), cliff),
        ("two peaks, 3 keys", logs(*"abc"), peaks),
        ("conditional, 3 keys", kinds, branches),
    ]
    return [Problem(name, space(keys), true, noisy(true)) for name, keys, true in described]


def noisy(true: Callable[[Setting], float]) -> Callable[[Setting, np.random.Generator], float]:
    return lambda setting, rng: true(setting) + float(rng.normal()) * NOISE / math.sqrt(REPLICATES)


def space(keys: dict) -> SearchSpace:
    return search_section.read({"space": keys}).space


def real() -> list[Problem]:
    return [
        table(
            "linear model on breast cancer (720)",
            load_breast_cancer,
            {
                "eta0": {"log": [1e-4, 1e1]},
                "alpha": {"log": [1e-6, 1e-1]},
                "penalty": {"choice": ["l2", "l1", "elasticnet"]},
                "learning_rate": {"choice": ["constant", "invscaling"]},
            },
            {"eta0": 12, "alpha": 10},
            lambda s, seed: SGDClassifier(**s, max_iter=5, tol=None, random_state=seed),
        ),
        table(
            "network on wine (480)",
            load_wine,
            {
                "learning_rate_init": {"log": [1e-4, 1e0]},
                "alpha": {"log": [1e-5, 1e1]},
                "batch_size": {"log_int": [8, 64]},
            },
            {"learning_rate_init": 12, "alpha": 8, "batch_size": 5},
            lambda s, seed: MLPClassifier((8,), **s, max_iter=5, random_state=seed),
        ),
        table(
            "tree on breast cancer (600)",
            load_breast_cancer,
            {
                "max_depth": {"int": [1, 12]},
                "min_samples_leaf": {"log_int": [1, 64]},
                "max_features": {"float": [0.05, 1.0]},
            },
            {"max_depth": 12, "min_samples_leaf": 10, "max_features": 5},
            lambda s, seed: DecisionTreeClassifier(**s, random_state=seed),
        ),
    ]


def table(name: str, load: Callable, keys: dict, counts: dict[str, int], model: Callable) -> Problem:
    """A space in which every setting of a fine grid was trained on five seeds; others are read at the nearest one."""
    inputs, targets = load(return_X_y=True)
    parts = [train_test_split(inputs, targets, test_size=0.4, random_state=seed, stratify=targets) for seed in range(5)]
    scaled = []
    for train, test, labels, held in parts:
        scaler = StandardScaler().fit(train)
        scaled.append((scaler.transform(train), scaler.transform(test), labels, held))
    made = space(keys)
    axes = [
        list(one.choices)
        if one.kind == "choice"
        else list(
            dict.fromkeys(one.at(min(place / (counts[one.key] - 1), 1 - 1e-9)) for place in range(counts[one.key]))
        )
        for one in made.keys
    ]
    scores = np.empty([*map(len, axes), 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place in itertools.product(*map(range, map(len, axes))):
            setting = {one.key: axis[at] for one, axis, at in zip(made.keys, axes, place, strict=True)}
            for seed, (train, test, labels, held) in enumerate(scaled):
                scores[(*place, seed)] = model(setting, seed).fit(train, labels).score(test, held)

    def nearest(setting: Setting) -> tuple[int, ...]:
        found = []
        for one, axis in zip(made.keys, axes, strict=True):
            if one.kind == "choice":
                found.append(axis.index(setting[one.key]))
            else:
                scale = np.log if one.kind.startswith("log") else np.asarray
                found.append(int(np.abs(scale(np.array(axis, float)) - scale(float(setting[one.key]))).argmin()))
        return tuple(found)

    def true(setting: Setting) -> float:
        return float(scores[nearest(setting)].mean())

    def seen(setting: Setting, rng: np.random.Generator) -> float:
        return float(scores[nearest(setting)][rng.choice(5, REPLICATES, replace=False)].mean())

    return Problem(name, made, true, seen)


def search(problem: Problem, method: str, budget: int, seed: int) -> list[float]:
    """True value of the best by what was seen, after each setting."""
    rng = np.random.default_rng([SEED, seed, METHODS.index(method)])
    fixed = gridded(problem.space, budget, rng) if method == "grid" else []
    told: list[ToldSetting] = []
    values: list[float] = []
    while len(told) < budget:
        generation = len(told) // generations.SIZE
        for one in proposed(problem.space, method, told, generation, seed, rng, fixed):
            told.append(ToldSetting(one.setting, problem.seen(one.setting, rng), generation))
            best = max(told, key=lambda each: -math.inf if each.value is None else each.value)
            values.append(problem.true(best.setting))
    return values[:budget]


def proposed(
    space: SearchSpace,
    method: str,
    told: list[ToldSetting],
    generation: int,
    seed: int,
    rng: np.random.Generator,
    fixed: list,
) -> list[Proposal]:
    count = generations.SIZE
    start = {"sobol": math.inf, "64, TPE": 64, "16, TPE": 16}.get(method, 0)
    if method == "grid":
        return [Proposal(one) for one in fixed[len(told) : len(told) + count]]
    if method == "random" or (method == "random, TPE" and len(told) < 16):
        return [Proposal(space.setting(list(rng.random(len(space.searched))))) for _ in range(count)]
    if len(told) < start:
        return generations.sobol(space, [one.setting for one in told], len(told), count, seed)
    found = generations.tpe(space, told, count, generations.seed_of(seed, generation), "maximize", None)
    return found or [Proposal(told[-1].setting)] * count


def gridded(space: SearchSpace, budget: int, rng: np.random.Generator) -> list[Setting]:
    """As many values a key as fit into the budget, in random order; what is left over is drawn at random."""
    per = max(1, int(budget ** (1 / len(space.searched)) + 1e-9))
    places = [[(place + 0.5) / per for place in range(per)]] * len(space.searched)
    found = [space.setting(list(point)) for point in itertools.product(*places)]
    rng.shuffle(found)
    return found + [space.setting(list(rng.random(len(space.searched)))) for _ in range(budget - len(found))]


PROBLEMS: list[Problem] = []  # made before the processes are forked, as functions do not travel


def repeat(asked: tuple[int, int, int]) -> list[list[float]]:
    """(methods, budget) true values of one repeat: `asked` is the problem's place, its seed, the budget."""
    place, seed, budget = asked
    return [search(PROBLEMS[place], method, budget, seed) for method in METHODS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--settings", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    sums = {budget: np.zeros(len(METHODS)) for budget in asked.settings}
    rows = []
    problems = [*synthetic(), *real()]
    PROBLEMS.extend(problems)
    print(f"{len(problems)} spaces are ready", flush=True)
    pool = multiprocessing.get_context("fork").Pool(asked.processes)
    for place, problem in enumerate(problems):
        wanted = [(place, seed, max(asked.settings)) for seed in range(asked.repeats)]
        found = np.array(pool.map(repeat, wanted, chunksize=1))
        best = float(found.max())
        for budget in asked.settings:
            at = found[:, :, budget - 1]
            ranks = np.mean([rankdata(-one) for one in at], axis=0)
            sums[budget] += ranks / len(problems)
            gaps = (best - at).mean(0)
            rows.append(
                [problem.name, budget, *(f"{rank:.2f} ({gap:.4f})" for rank, gap in zip(ranks, gaps, strict=True))]
            )
            print(*rows[-1], sep=" | ", flush=True)
    rows += [["**mean rank**", budget, *(f"{rank:.2f}" for rank in sums[budget])] for budget in asked.settings]
    print(tabulate(rows, ["space", "settings", *METHODS], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
