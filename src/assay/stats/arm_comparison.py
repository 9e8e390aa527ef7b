"""`assay.compare`: is the candidate better than the baseline, or lucky?

Covers: two lists of numbers, one per replicate, to a verdict with everything that belongs beside it, in the five steps
of docs/judge.md: check, count, test, decide, describe. Not covered: whether the two may be compared at all
(`strategy_replicates`), pairs and places of replicates (`compare_arms`), new examples (`variance_components`), several
looks (`sequential_testing`), several comparisons (`multiple_comparisons`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from assay.core.errors import UsageError
from assay.stats import (
    block_effects,
    cautions,
    diverged_runs_test,
    effect_sizes,
    sample_size,
    serial_correlation,
    verdict_rule,
)
from assay.stats.arm_scores import LARGEST, Values
from assay.stats.block_effects import BlockDifference, BlockEffects, Blocks
from assay.stats.cleaned_arms import CountedArms, counted
from assay.stats.hypothesis_tests import IN_PAIRS, Inference, Test, difference, infer

#: what is said where a difference depends on the block
DISAGREE = "the difference is not the same in all blocks, and the verdict is about its mean over them"


@dataclass(frozen=True)
class ArmSummary:
    """One side of a comparison. `sd` is None below two runs, `mean` without a finite one."""

    mean: float | None
    sd: float | None
    n: int  # finite replicates, and diverged ones that entered as the worst value
    diverged: int
    fixed: bool  # a known number, such as a floor, and no sample
    failures_below: float | None  # share of failing runs that this n leaves possible at 95 %; None for a fixed value


@dataclass(frozen=True)
class Comparison:
    """Verdict and what belongs beside it; `delta` and `ci` are candidate - baseline, in the metric's units.

    Every probability is two-sided unless it says otherwise. `no_regression`: a loss of `min_effect` or more lies
    outside the interval. `n_needed`: runs an arm that find `min_effect` with 80 % power. `reason`: why the verdict is
    held back.
    """

    verdict: verdict_rule.Verdict
    delta: float | None  # None where an arm has no finite replicate
    ci: tuple[float, float]  # infinite where nothing can be said
    p: float
    no_regression: bool  # a loss of min_effect or more is outside the interval
    baseline: ArmSummary
    candidate: ArmSummary
    direction: str
    min_effect: float
    alpha: float
    method: str
    df: float | None
    smallest_p: float  # that data of this size can give; 0 where there is no such floor
    effect_sd: float | None  # delta in standard deviations (root mean of the two variances)
    superiority: float | None  # chance that a candidate run beats a baseline run, ties counting half
    n_needed: int | None  # runs per arm that find min_effect with 80 % power; None without one
    min_detectable_effect: float | None  # true difference found with 80 % power at this n
    entered: bool  # diverged replicates are in the numbers, as the worst value
    fisher_p: float | None  # of equal divergence; None where nothing diverged
    correlation: float | None  # between the arms of a paired design
    reason: str  # why the verdict is held back; "" where it is not
    warnings: tuple[str, ...]
    blocks: BlockEffects | None = None  # the difference in each block, where runs lie in any

    @property
    def diverged_baseline(self) -> int:
        return self.baseline.diverged

    @property
    def diverged_candidate(self) -> int:
        return self.candidate.diverged


def compare(
    baseline: float | Sequence[float] | Values,
    candidate: float | Sequence[float] | Values,
    direction: str = "maximize",
    paired: bool = False,
    alpha: float = 0.05,
    min_effect: float = 0.0,
    *,
    test: str = "welch",
    diverged_baseline: int = 0,
    diverged_candidate: int = 0,
    worst: float | None = None,
    hold: str = "",
    fixed: bool = False,
    distinct: bool = False,
    overlap: float | None = None,
    blocks: Blocks | None = None,
) -> Comparison:
    """Verdict on candidate against baseline, with interval, p, effect and power.

    `baseline`, `candidate`: (n,) and (m,) numbers, one per finite replicate, in the metric's units. A bare number on
    one side is a fixed value, such as a floor. `direction`: `maximize` or `minimize`. `alpha`: chance of a wrong
    verdict where there is no difference, above 0 and below 1. `min_effect`: smallest difference that matters,
    in the metric's units.

    `test`: `welch` (Welch 1947), `student`, `paired` (the same seeds in the same order on both sides; also
    `paired=True`), `permutation` (Ernst 2004), `anytime` (an e-process: may be read after every seed; runs in the
    order in which they came), or `resampled` (Nadeau & Bengio 2003: runs on splits drawn anew, the same splits in
    the same order on both sides; `overlap`: test examples over training examples of a split). Against a fixed value
    it is the one-sample t.

    Runs of one arm that are all alike count as one, and allow no verdict: a script that ignores its seed prints the
    same number as often as it is asked. `fixed=True` says that this is meant: such an arm is one fixed value.
    `distinct=True`: the caller knows that the runs differ, and equal numbers are ties.

    `blocks`: what each run of the baseline and of the candidate belongs to, such as a class of machine: two lists of
    names, one empty for a fixed value. Differences are then taken within blocks, each of which needs as many runs of
    an arm as the others. With `test="welch"` alone.

    Diverged replicates are counted. They hold the verdict back unless `worst` is the value that each of them enters
    as. In pairs and in blocks their place matters, so there the caller puts the worst value into the list. `hold`: a
    reason known to the caller why no verdict may be read (`sequential_testing.look`).

    Raises `UsageError`, which names the argument that cannot be used: an unknown option, a number that is not finite,
    arms of different size where pairs are asked for.
    """
    asked = _checked(test, paired, direction, alpha, min_effect, overlap)
    if blocks is not None and asked.test != "welch":
        raise UsageError(f"test={asked.test!r} with blocks", allowed="test='welch'")
    arms = counted(
        baseline,
        candidate,
        asked.test,
        (diverged_baseline, diverged_candidate),
        worst,
        fixed=fixed,
        distinct=distinct,
        blocks=blocks,
    )
    found = infer(arms.baseline, arms.candidate, asked.test, alpha, overlap)
    decided = _decided(asked, arms, found, hold)
    return _described(asked, arms, found, decided)


@dataclass(frozen=True)
class _TestOptions:
    """The options of a comparison, checked."""

    test: Test
    direction: str
    alpha: float
    min_effect: float
    overlap: float | None


@dataclass(frozen=True)
class _Decided:
    """The word; `reason`: why it is held back, "" where it is not."""

    verdict: verdict_rule.Verdict
    reason: str
    no_regression: bool


def _checked(
    test: str, paired: bool, direction: str, alpha: float, min_effect: float, overlap: float | None
) -> _TestOptions:
    """Step 1 of docs/judge.md. Raises UsageError naming the option that cannot be used."""
    if test not in get_args(Test):
        raise UsageError(f"test is {test!r}", allowed=", ".join(get_args(Test)))
    if paired and test not in ("welch", "paired"):
        raise UsageError(f"paired=True does not go with test={test!r}", allowed="test='paired'")
    verdict_rule.sign(direction)
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha}", allowed="between 0 and 1, exclusive")
    if not 0 <= min_effect <= LARGEST:
        raise UsageError(f"min_effect is {min_effect}", allowed=f"0 to {LARGEST:g}, in the metric's units")
    if (test == "resampled") != (overlap is not None):
        given = "no overlap" if overlap is None else f"overlap={overlap:g}"
        raise UsageError(
            f"test={test!r} with {given}",
            allowed="test='resampled' with overlap=, test over training examples of a split",
        )
    if overlap is not None and not 0 < overlap <= LARGEST:
        raise UsageError(f"overlap is {overlap}", allowed="above 0: test examples over training examples of a split")
    return _TestOptions("paired" if paired else test, direction, alpha, min_effect, overlap)  # type: ignore[arg-type]


def _decided(asked: _TestOptions, arms: CountedArms, found: Inference, hold: str) -> _Decided:
    """Step 4: the word for the interval, unless something holds it back."""
    rule = asked.direction, arms.to_scale(asked.min_effect)
    word = verdict_rule.verdict(*found.ends, *rule)
    reason = hold
    if not reason and (arms.baseline.diverged or arms.candidate.diverged):
        reason = "diverged replicates are results too, and no worst value is named for them"
    if not reason and found.safe and not found.reason:
        reason = "" if word in ("inconclusive", verdict_rule.verdict(*found.safe, *rule)) else found.unsafe
    if reason := reason or found.reason:
        return _Decided("inconclusive", reason, False)
    return _Decided(word, "", verdict_rule.no_regression(*(found.safe or found.ends), *rule))


def _described(asked: _TestOptions, arms: CountedArms, found: Inference, decided: _Decided) -> Comparison:
    """Step 5: what stands beside the word, in the metric's units."""
    first, second, finite = arms.baseline, arms.candidate, arms.finite
    delta = difference(first, second) if finite else None
    planned = sample_size.plan(first, second, asked.test, asked.alpha, asked.overlap)
    detectable = sample_size.detectable(planned, second.n, asked.alpha)
    blocks = _blocks(arms, asked.alpha)
    return Comparison(
        verdict=decided.verdict,
        delta=_back(delta, arms),
        ci=(arms.from_scale(found.low), arms.from_scale(found.high)),
        p=found.p,
        no_regression=decided.no_regression,
        baseline=_summary(arms, 0),
        candidate=_summary(arms, 1),
        direction=asked.direction,
        min_effect=asked.min_effect,
        alpha=asked.alpha,
        method=found.method,
        df=found.df,
        smallest_p=found.smallest_p,
        effect_sd=effect_sizes.in_sd(delta, first, second),
        superiority=effect_sizes.superiority(first.values, second.values, asked.direction) if finite else None,
        n_needed=sample_size.n_needed(planned, arms.to_scale(asked.min_effect), asked.alpha),
        min_detectable_effect=_back(detectable, arms),
        entered=arms.entered,
        fisher_p=effect_sizes.fisher_p(*arms.given, arms.entered),
        correlation=effect_sizes.correlation(first, second) if asked.test in IN_PAIRS else None,
        reason=decided.reason,
        warnings=(
            *cautions.cautions(first, second, asked.test),
            *serial_correlation.cautions(*arms.in_order(), asked.test),
            *([DISAGREE] if blocks is not None and blocks.disagree else []),
        ),
        blocks=blocks,
    )


def _blocks(arms: CountedArms, alpha: float) -> BlockEffects | None:
    """The difference in each block, in the metric's units."""
    found = block_effects.find(arms.baseline, arms.candidate, alpha)
    if found is None:
        return None
    scaled = [
        BlockDifference(one.block, arms.from_scale(one.delta), (arms.from_scale(one.ci[0]), arms.from_scale(one.ci[1])))
        for one in found.differences
    ]
    return replace(found, differences=tuple(scaled))


def _summary(arms: CountedArms, place: int) -> ArmSummary:
    arm = (arms.baseline, arms.candidate)[place]
    mean, sd = _back(arm.mean, arms), _back(arm.sd, arms)
    return ArmSummary(mean, sd, arm.n, arms.given[place].diverged, arm.fixed, arms.failures_below(place))


def _back(value: float | None, arms: CountedArms) -> float | None:
    return None if value is None else arms.from_scale(value)


def entered(found: Comparison, diverged: tuple[int, int]) -> Comparison:
    """`found` with the numbers of diverged replicates (baseline, candidate) that the caller entered in their places."""
    sides = (
        replace(side, diverged=count, failures_below=diverged_runs_test.failures_below(count, side.n))
        for side, count in zip((found.baseline, found.candidate), diverged, strict=True)
    )
    baseline, candidate = sides
    return replace(found, baseline=baseline, candidate=candidate, entered=any(diverged))
