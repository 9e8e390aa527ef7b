"""Simulations of the judge: comparisons whose true answer is known. `judge.py` prints them, the tests run a few.

Every function takes the number of draws and a fixed seed, and returns rows (what, measured, bound, holds).
The code that judges is the library's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.report import comparison_text as report
from assay.stats import (
    anytime_valid_test,
    cautions,
    corrected_resampled_ttest,
    difference_estimate,
    diverged_runs_test,
    factorial_design,
    hypothesis_tests,
    sequential_testing,
    serial_correlation,
    variance_components,
)
from assay.stats.arm_comparison import compare
from assay.stats.arm_scores import ArmScores
from assay.stats.hypothesis_tests import Inference

POOL = np.loadtxt(Path(__file__).parents[1] / "tests" / "fixtures" / "one_recipe_1261.csv", skiprows=1)
ALPHA = 0.05
SEED = 7
Draws = NDArray[np.float64]


class Row(NamedTuple):
    what: str
    measured: float
    bound: str
    holds: bool


def at_most(what: str, measured: float, draws: int, alpha: float = ALPHA) -> Row:
    """Against alpha plus three standard errors."""
    bound = alpha + 3 * math.sqrt(alpha * (1 - alpha) / draws)
    return Row(what, measured, f"≤ {bound:.4f}", measured <= bound)


def _se(share: float, draws: int) -> float:
    return math.sqrt(share * (1 - share) / draws)


def within(what: str, measured: float, low: float, high: float = 1.0) -> Row:
    return Row(what, measured, f"{low:.3f} to {high:.3f}", low <= measured <= high)


def stream(name: int) -> np.random.Generator:
    return np.random.default_rng([SEED, name])


def pool_pairs(rng: np.random.Generator, draws: int, n_b: int, n_c: int) -> tuple[Draws, Draws]:
    """(draws, n) values of both arms; no run serves twice in one pair."""
    keys = rng.random((draws, len(POOL))) if draws <= 500 else None
    if keys is not None:
        drawn = POOL[np.argpartition(keys, n_b + n_c)[:, : n_b + n_c]]
    else:
        parts = [pool_pairs(rng, 500, n_b, n_c) for _ in range(-(-draws // 500))]
        drawn = np.concatenate([np.hstack(part) for part in parts])[:draws]
        drawn = drawn.reshape(draws, n_b + n_c)
    return drawn[:, :n_b], drawn[:, n_b:]


def inferences(baseline: Draws, candidate: Draws, test: hypothesis_tests.Test) -> Iterator[Inference]:
    for values_b, values_c in zip(baseline, candidate, strict=True):
        yield hypothesis_tests.infer(ArmScores(values_b), ArmScores(values_c), test, ALPHA)


def excludes(found: Inference, truth: float = 0.0) -> bool:
    return found.low > truth or found.high < truth


# --- nulls of one recipe --------------------------------------------------------------------------------


def null_pairs(draws: int, sizes: Sequence[int] = (2, 3, 5, 10, 20)) -> Iterator[Row]:
    """False progress + regression on the pool, every method and n; coverage is the rest."""
    for n in sizes:
        baseline, candidate = pool_pairs(stream(n), draws, n, n)
        for test in ("welch", "student", "paired", "permutation"):
            found = list(inferences(baseline, candidate, test))
            refused = np.mean([bool(one.reason) for one in found])
            covered = 1 - _share(map(excludes, found))
            wrong = _share(excludes(one) and survives(one) for one in found)
            if refused == 1:
                yield Row(f"null pairs, {test}, n={n}: refused ({found[0].reason})", wrong, "refused", wrong == 0)
                continue
            yield at_most(f"null pairs, {test}, n={n}: false verdicts", wrong, draws)
            high = 0.97 if n >= 3 else 1.0
            yield within(f"null pairs, {test}, n={n}: coverage", covered, 0.945, high)
        truth = ArmScores(np.array([POOL.mean()]), fixed=True)
        fixed = [hypothesis_tests.infer(truth, ArmScores(values), "welch", ALPHA) for values in candidate]
        wrong = float(np.mean([excludes(one) for one in fixed]))
        yield at_most(f"null pairs, one side fixed, n={n}: false verdicts", wrong, draws)
        yield within(f"null pairs, one side fixed, n={n}: coverage", 1 - wrong, 0.945, 0.97 if n >= 3 else 1.0)


UNEVEN = ((3, 3, 2), (3, 3, 5), (5, 5, 3), (3, 10, 1), (10, 3, 3), (3, 20, 1), (5, 20, 2), (20, 5, 3), (10, 10, 4))


def uneven(draws: int) -> Iterator[Row]:
    """Welch on normal arms of unequal n and spread (sd of the baseline in sds of the candidate)."""
    for n_b, n_c, ratio in UNEVEN:
        rng = stream(100 * n_b + n_c)
        pairs = zip(rng.normal(0, ratio, (draws, n_b)), rng.normal(0, 1, (draws, n_c)), strict=True)
        found = [hypothesis_tests.infer(ArmScores(b), ArmScores(c), "welch", ALPHA) for b, c in pairs]
        what = f"normal arms, n={n_b} v {n_c}, sd {ratio} v 1"
        yield within(f"{what}: coverage", 1 - float(np.mean([excludes(one) for one in found])), 0.945, 0.97)
        # The verdict must also survive the safe interval, as `compare` asks.
        wrong = _share(excludes(one) and survives(one) for one in found)
        yield at_most(f"{what}: false verdicts", wrong, draws)


GUARDED = ((3, 3), (5, 5), (10, 10), (3, 20), (5, 20), (10, 20))


def guarded(draws: int, sizes: Sequence[tuple[int, int]] = GUARDED) -> Iterator[Row]:
    """Student and permutation on normal arms whose spreads differ 5:1, either way; the verdict survives its guard."""
    for n_b, n_c in sizes:
        for ratio in (5.0, 0.2):
            rng = stream(1100 + 40 * n_b + n_c)
            arms = rng.normal(0, ratio, (draws, n_b)), rng.normal(0, 1, (draws, n_c))
            for test in ("student", "permutation"):
                some = draws if test == "student" else draws // 5
                found = list(inferences(arms[0][:some], arms[1][:some], test))
                what = f"{test}, n={n_b} v {n_c}, sd {ratio:g} v 1"
                yield Row(f"{what}: false verdicts unguarded", _share(map(excludes, found)), "for comparison", True)
                yield at_most(f"{what}: false verdicts", _share(excludes(one) and survives(one) for one in found), some)


def survives(found: Inference) -> bool:
    """Whether the guard's interval excludes 0 too, as `compare` asks."""
    return found.safe is None or found.safe[0] > 0 or found.safe[1] < 0


def _share(found: Iterable[bool]) -> float:
    return float(np.mean(list(found)))


# --- nulls that break a t-test --------------------------------------------------------------------------


def collapsing(rng: np.random.Generator, draws: int, n: int) -> tuple[Draws, Draws]:
    """Equal means: the candidate is 2.5 sd better, but one run in ten collapses by 25 sd."""
    baseline = rng.normal(0, 1, (draws, n))
    candidate = rng.normal(2.5, 1, (draws, n)) - 25 * (rng.random((draws, n)) < 0.1)
    return baseline, candidate


def broken_nulls(draws: int) -> Iterator[Row]:
    """False verdicts where means are equal and runs far from normal, which no test can hold that sees only them."""
    for n in (3, 5, 10):
        baseline, candidate = collapsing(stream(300 + n), draws, n)
        yield _wrong(f"one run in ten collapses, n={n}", baseline, candidate)
    rng = stream(350)
    yield _wrong("log-normal, n=3 v 20", rng.lognormal(size=(draws, 20)), rng.lognormal(size=(draws, 3)))
    for sigma in (1.0, 2.0):
        for n in (3, 5, 10, 20):
            candidate = stream(360 + n).lognormal(sigma=sigma, size=(draws, n))
            truth = np.full((draws, 1), math.exp(sigma**2 / 2))
            yield _wrong(f"fixed v log-normal (sigma {sigma:g}), n={n}", truth, candidate)


def _wrong(what: str, baseline: Draws, candidate: Draws) -> Row:
    found = [
        compare(float(b[0]) if len(b) == 1 else b, c).verdict != "inconclusive"
        for b, c in zip(baseline, candidate, strict=True)
    ]
    return Row(f"{what}: false verdicts", float(np.mean(found)), "cannot be held", True)


def failure_bounds(draws: int) -> Iterator[Row]:
    """How often the bound beside n, as it is printed, covers the true rate of failing runs."""
    for n in (1, 3, 5, 10, 30, 100):
        for rate in (0.01, 0.1, 0.3):
            failed = stream(450 + n).binomial(n, rate, draws)
            bounds = {k: diverged_runs_test.failures_below(int(k), n) for k in np.unique(failed)}
            printed = {k: 100.0 if bound is None else float(report.percent(bound)) for k, bound in bounds.items()}
            covered = float(np.mean([100 * rate < printed[k] for k in failed]))
            yield within(f"failures < … %, n={n}, true rate {rate:.0%}: covered", covered, 0.95 - 3 * _se(0.05, draws))


def cautions_on_normal(draws: int, sizes: Sequence[int] = (3, 5, 10, 20, 30)) -> Iterator[Row]:
    """How often a caution stands beside a verdict on normal data, where there is nothing to warn of."""
    tests: tuple[hypothesis_tests.Test, ...] = ("welch", "student", "paired")  # permutation is warned of like Student
    for n in sizes:
        for effect in (0.0, 2.0):
            rng = stream(400 + n)
            fired = np.zeros(len(tests))
            for _ in range(draws):
                arms = ArmScores(rng.normal(size=n)), ArmScores(rng.normal(effect, 1, n))
                fired += [
                    bool(cautions.cautions(*arms, test) or serial_correlation.cautions(*arms, test)) for test in tests
                ]
            for test, count in zip(tests, fired, strict=True):
                what = f"normal data, +{effect:g} sd, {test}, n={n}: any caution"
                yield within(what, float(count) / draws, 0, 0.10)


# --- runs that are all alike ----------------------------------------------------------------------------


def alike(draws: int) -> Iterator[Row]:
    """Two scripts that ignore their seed: each draws once and prints it n times. Any verdict is false certainty."""
    for n in (2, 5, 10, 40):
        once = stream(470 + n).normal(size=(draws, 2))
        wrong = [compare([b] * n, [c] * n).verdict != "inconclusive" for b, c in once]
        one_arm = [compare(stream(480 + n).normal(size=n), [c] * n).verdict != "inconclusive" for _, c in once]
        yield within(f"both arms repeat one run {n} times: verdicts", float(np.mean(wrong)), 0, 0)
        yield within(f"the candidate repeats one run {n} times: verdicts", float(np.mean(one_arm)), 0, 0)


# --- new examples and resampled splits ------------------------------------------------------------------


def scores(rng: np.random.Generator, runs: int, examples: int, effect: float = 0.0) -> tuple[Draws, Draws]:
    """0/1 scores of two arms: difficulty of each example, its taste for an arm, luck of the seed, noise."""
    difficulty = 1.5 + 1.5 * rng.normal(size=examples)
    arms = []
    for _ in range(2):
        taste, luck = 0.7 * rng.normal(size=examples), 0.15 * rng.normal(size=(runs, 1))
        arms.append(difficulty + taste + luck + rng.normal(size=(runs, examples)))
    return (arms[0] > 0).astype(float), (arms[1] + effect > 0).astype(float)


def new_example_coverage(draws: int) -> Iterator[Row]:
    for runs in (3, 5, 10):
        for examples in (360, 2000):
            rng = stream(1000 * runs + examples)
            hit = 0
            for _ in range(draws):
                low, high = variance_components.new_examples(*scores(rng, runs, examples)).ci
                hit += low <= 0 <= high
            yield within(f"new examples, R={runs}, N={examples}: coverage", hit / draws, 0.93, 0.97)


def split_differences(rng: np.random.Generator, examples: int, test: int, splits: int) -> Draws:
    """(splits,) accuracy differences of two equally good learners: nearest class mean on disjoint noisy features."""
    y = rng.integers(0, 2, examples) * 2 - 1
    x = 0.4 * y[:, None] + rng.normal(size=(examples, 10))
    gaps = []
    for _ in range(splits):
        order = rng.permutation(examples)
        held, seen = order[:test], order[test:]
        weights = (x[seen] * y[seen, None]).mean(axis=0)
        right = [np.sign(x[held][:, half] @ weights[half]) == y[held] for half in (slice(5), slice(5, 10))]
        gaps.append(right[1].mean() - right[0].mean())
    return np.array(gaps)


def resampling(draws: int) -> Iterator[Row]:
    for examples, test in ((100, 10), (200, 40)):
        rng, plain, corrected = stream(examples), 0, 0
        for _ in range(draws):
            gaps = split_differences(rng, examples, test, 15)
            plain += float(difference_estimate.one_sample(gaps.mean(), gaps.var(ddof=1) or 1.0, 15).p) <= ALPHA
            corrected += corrected_resampled_ttest.resampled(gaps, examples - test, test).p <= ALPHA
        yield Row(f"15 splits of {examples}, plain t: false verdicts", plain / draws, "for comparison", True)
        yield at_most(f"15 splits of {examples}, corrected t: false verdicts", corrected / draws, draws)


# --- looks ----------------------------------------------------------------------------------------------

PLAN = (3, 5, 10, 20)


def contrast_at(baseline: Draws, candidate: Draws, n: int) -> difference_estimate.Contrast:
    """Welch at the first n of (draws, n_max)."""
    b, c = baseline[:, :n], candidate[:, :n]
    return difference_estimate.welch(c.mean(1) - b.mean(1), b.var(1, ddof=1), n, c.var(1, ddof=1), n)


def look_errors(draws: int) -> Iterator[Row]:
    """Total error over a declared plan, over extensions without one, and what testing by hand does."""
    levels = sequential_testing.levels(ALPHA, PLAN)
    baseline, candidate = pool_pairs(stream(20), draws, 20, 20)
    p = np.array([contrast_at(baseline, candidate, n).p for n in PLAN])
    yield Row("looks 3, 5, 10, 20 at 0.05 by hand: false verdicts", _any(p <= ALPHA), "for comparison", True)
    yield at_most("looks 3, 5, 10, 20 declared: false verdicts", _any(p <= np.array(levels)[:, None]), draws)
    rng = stream(21)
    for ratio in (1.0, 3.0):
        b, c = rng.normal(0, 1, (draws, 20)), rng.normal(0, ratio, (draws, 20))
        p = np.array([contrast_at(b, c, n).p for n in PLAN])
        wrong = _any(p <= np.array(levels)[:, None])
        yield at_most(f"looks declared, normal, sd ratio {ratio:g}: false verdicts", wrong, draws)
        b, c = rng.normal(0, 1, (draws, 20)), rng.normal(0, ratio, (draws, 20))
        every = range(3, 21)
        p = np.array([contrast_at(b, c, n).p for n in every])
        spent = np.array([sequential_testing.look(ALPHA, n, (), list(every)[:i]).alpha for i, n in enumerate(every)])
        wrong = _any(p <= spent[:, None])
        yield at_most(f"a look after every seed, undeclared, sd ratio {ratio:g}: false verdicts", wrong, draws)
    for start in (3, 5, 10):
        yield at_most(f"start at {start}, add the needed seeds: false verdicts", extension_error(draws, start), draws)


def _any(rejected: NDArray[np.bool_]) -> float:
    return float(np.mean(np.any(rejected, axis=0)))


SECOND = ((3, 5), (3, 10), (5, 6), (5, 10), (10, 20), (20, 40))


def second_looks(draws: int) -> Iterator[Row]:
    """A look without a plan, then another one: what both err, and the power of both at +1 sd."""
    for first, second in SECOND:
        level = sequential_testing.look(ALPHA, second, (), [first]).alpha
        spent = np.array([[sequential_testing.look(ALPHA, first).alpha], [level]])
        what = f"looks at {first} and {second}, second level {level:.4f}"
        for ratio in (1.0, 3.0):
            wrong = _any(_nested_p(stream(1400 + first + second), draws, (first, second), ratio) <= spent)
            yield at_most(f"{what}, sd ratio {ratio:g}: false verdicts", wrong, draws)
        gaps = stream(1500 + first + second).normal(size=(draws, second)) * math.sqrt(2)
        p = np.array(
            [
                difference_estimate.one_sample(gaps[:, :n].mean(1), gaps[:, :n].var(1, ddof=1), n).p
                for n in (first, second)
            ]
        )
        yield at_most(f"{what}, paired: false verdicts", _any(p <= spent), draws)
        power = _any(_nested_p(stream(1600 + first), draws, (first, second), 1.0, 1.0) <= spent)
        yield Row(f"{what}: power at +1 sd", power, "for comparison", True)
    rng = stream(1700)
    spent = [
        sequential_testing.next_level(ALPHA, 10, [sequential_testing.Earlier(10, 0.04, nested=False)] * k)
        for k in range(6)
    ]
    baseline = rng.normal(size=(draws, 10))
    p = [_welch_p(baseline, rng.normal(size=(draws, 10))) for _ in spent]
    wrong = _any(np.array(p) <= np.array(spent)[:, None])
    yield at_most("five redraws of the candidate at n=10, not nested: false verdicts", wrong, draws)


def _nested_p(rng: np.random.Generator, draws: int, sizes: Sequence[int], ratio: float, effect: float = 0.0) -> Draws:
    """(looks, draws) Welch's p as both arms grow."""
    b, c = rng.normal(size=(draws, sizes[-1])), rng.normal(effect, ratio, (draws, sizes[-1]))
    return np.array([contrast_at(b, c, n).p for n in sizes])


def _welch_p(baseline: Draws, candidate: Draws) -> Draws:
    return contrast_at(baseline, candidate, baseline.shape[1]).p


def anytime_errors(draws: int, most: int = 40) -> Iterator[Row]:
    """The anytime test read after every seed: any false verdict from n=2 to `most`, and what +1 and +2 sd decide."""
    pairs = pool_pairs(stream(1800), draws // 4, most, most)
    yield at_most(f"anytime, pool, every n to {most}: any false verdict", _crossed(pairs[1] - pairs[0]), draws // 4)
    rng = stream(1801)
    for ratio in (1.0, 5.0):
        gaps = rng.normal(0, ratio, (draws, most)) - rng.normal(size=(draws, most))
        yield at_most(f"anytime, normal, sd ratio {ratio:g}: any false verdict", _crossed(gaps), draws)
    for effect in (1.0, 2.0):
        gaps = rng.normal(effect, 1, (draws, most)) - rng.normal(size=(draws, most))
        for n in (10, 20, most):
            floor = 0.85 if effect == 1 and n == most else 0.0
            yield within(f"anytime, +{effect:g} sd: decided by n={n}", _crossed(gaps[:, :n]), floor)


def _crossed(gaps: Draws) -> float:
    """Share of sequences (draws, n) in which some prefix decides."""
    decided = np.zeros(len(gaps), dtype=bool)
    for n in range(2, gaps.shape[1] + 1):
        part = gaps[:, :n]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = part.mean(1) / np.sqrt(part.var(1, ddof=1) / n)
        decided |= np.abs(t) >= anytime_valid_test.critical(n, ALPHA)
    return float(np.mean(decided))


def extension_error(draws: int, start: int, smallest: float = 1.5, most: int = 60) -> float:
    """Judge at `start`; where undecided go on to the n that a difference of `smallest` sd needs, and judge again."""
    rng = stream(500 + start)
    b, c = rng.normal(size=(draws, most)), rng.normal(size=(draws, most))
    first = contrast_at(b, c, start)
    wrong = first.p <= sequential_testing.look(ALPHA, start).alpha
    variance = b[:, :start].var(1, ddof=1) + c[:, :start].var(1, ddof=1)
    needed = np.clip(np.ceil(variance * (2.8 / smallest) ** 2), start, most).astype(int)
    level = sequential_testing.look(ALPHA, start + 1, (), [start]).alpha
    for n in np.unique(needed[needed > start]):
        rows = needed == n
        wrong[rows] |= contrast_at(b[rows], c[rows], int(n)).p <= level
    return float(np.mean(wrong))


def look_savings(draws: int) -> Iterator[Row]:
    """80 % null ideas, 20 % at +2 sd: seeds spent and power, against always n=20."""
    rng = stream(22)
    effect = np.where(rng.random(draws) < 0.2, 2.0, 0.0)
    baseline, candidate = rng.normal(size=(draws, 20)), rng.normal(size=(draws, 20)) + effect[:, None]
    always = contrast_at(baseline, candidate, 20)
    levels = sequential_testing.levels(ALPHA, PLAN)
    seeds, progress = np.zeros(draws), np.zeros(draws, dtype=bool)
    for row in range(draws):
        for n, level in zip(PLAN, levels, strict=True):
            result = compare(baseline[row, :n], candidate[row, :n], alpha=level)
            seeds[row] = n
            progress[row] = result.verdict == "progress"
            if result.verdict != "inconclusive" or sequential_testing.futile(result, PLAN[-1], levels[-1]):
                break
    good = effect > 0
    power, reference = float(progress[good].mean()), float(np.mean(((always.p <= ALPHA) & (always.delta > 0))[good]))
    yield within("looks with futility: seeds saved against always n=20", 1 - float(seeds.mean()) / 20, 0.40)
    yield within("looks with futility: power lost at +2 sd", reference - power, -1.0, 0.03)


# --- factorial ------------------------------------------------------------------------------------------


def factorial_errors(draws: int) -> Iterator[Row]:
    """n=5: A +4 sd, B -2 sd; and no effect at all, and A alone (a false finding is any about B or A × B)."""
    named = sum("B" in _design(stream(600 + i), 4.0, -2.0).harmful for i in range(draws)) / draws
    yield within("factorial, A +4 sd, B -2 sd, n=5: B named harmful", named, 0.90)
    for blocked in (False, True):
        how = "blocked" if blocked else "free"
        null = [_design(np.random.default_rng([SEED, 700, i]), 0.0, 0.0, blocked) for i in range(draws)]
        wrong = float(np.mean([any(e.p_holm <= ALPHA for e in one.effects) or bool(one.findings) for one in null]))
        yield at_most(f"factorial, no effect, {how}: any false finding", wrong, draws)
        only = [_design(np.random.default_rng([SEED, 701, i]), 4.0, 0.0, blocked) for i in range(draws)]
        about_b = [[e for e in one.effects if "B" in e.parts and e.kind != "all"] for one in only]
        named = ["B" in one.harmful for one in only]
        shown = [any(e.p_holm <= ALPHA for e in effects) for effects in about_b]
        wrong = float(np.mean(np.logical_or(named, shown)))
        yield at_most(f"factorial, A alone works, {how}: any false finding", wrong, draws)


def _design(rng: np.random.Generator, a: float, b: float, blocked: bool = False) -> factorial_design.Factorial:
    seeds = rng.normal(size=5) if blocked else np.zeros(5)
    shifts = {(): 0.0, ("A",): a, ("B",): b, ("A", "B"): a + b}
    return factorial_design.factorial(
        {parts: shift + seeds + rng.normal(size=5) for parts, shift in shifts.items()}, blocked=blocked
    )
