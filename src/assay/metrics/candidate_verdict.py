"""Candidate against baseline: may they be subtracted at all, are they different strategies, and what then.

Covers: the fields that must agree, the choice between a measured baseline and the best floor. Not covered:
statistics (`stats`), text (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from msgspec import UNSET

from assay.core import variation
from assay.core.schemas import RECORD, UNRECORDED, Environment, Measurement
from assay.metrics.scored_arm import Scored
from assay.metrics.task_metrics import Metric
from assay.stats import cautions, compare_arms, verdict_rule
from assay.stats.arm_comparison import Comparison
from assay.stats.compare_arms import MeasuredArm
from assay.stats.sequential_testing import Look

#: verdicts that no test gave
INCOMPARABLE, SAME = "incomparable", "same"
#: why a first run may have no verdict
NOTHING = "nothing to compare with"


@dataclass(frozen=True)
class Judgement:
    """A verdict, what it was given against, and the numbers behind it, if there are any."""

    verdict: str
    against: str
    comparison: Comparison | None
    reason: str = ""  # why nothing was tested
    hint: str = ""  # the command that makes it testable
    level: float | None = None  # that p was held against, None where there was no test
    recorded: bool = True  # False where the ledger could not take the look
    look: Look | None = None  # by which it was tested; slices are tested by the same
    last_level: float | None = None  # of the last look of a declared plan, None without one


def against_floor(
    candidate: Scored,
    floors: Mapping[str, float],
    metric: Metric,
    test: str,
    look: Look,
    fixed: bool = False,
    each: Mapping[str, Sequence[float]] | None = None,
) -> Judgement:
    """Against the best floor, a fixed value: no seeds stand behind it. `fixed`: nor behind a task without chance.

    `each`: what a floor scores on the split of each replicate, where these have one each.
    """
    best = verdict_rule.best(floors, metric.direction)
    test = compare_arms.fitting_test(test, fixed_value=True)
    floor: float | MeasuredArm = floors[best]
    if each is not None and best in each:
        numbers = [one.number for one in candidate.replicates]
        floor = MeasuredArm(list(zip(numbers, each[best], strict=True)), candidate.overlap)
    found = _compare(floor, candidate.measured(metric.name), metric, test, look, fixed)
    return Judgement(found.verdict, f"floor {best}", _with_doubts(found, (candidate,), metric, fixed))


def untested(candidate: Scored, baseline: Scored | None) -> Judgement | None:
    """What is said where there is nothing to test; None where there is: then somebody is about to look."""
    if baseline is None:
        return None
    name = baseline.arm.name
    if differing := differences(baseline, candidate):
        return Judgement(INCOMPARABLE, name, None, "; ".join(differing), "dvc repro -f -s baseline && dvc exp run")
    if baseline.identity == candidate.identity:
        return Judgement(SAME, name, None, f"candidate and {name} are the same strategy; nothing was tested")
    return None


def unseen(against: str, source: str, names: Sequence[str], hint: str) -> Judgement:
    """No verdict: the metric in the file `source` read files that its version does not cover."""
    return Judgement(INCOMPARABLE, against, None, f"{source} reads {', '.join(names)}; {hint}")


def alone() -> Judgement:
    """No verdict: there is neither a baseline nor a floor."""
    hint = "judge.floor: VALUE, a value to beat, in params.yaml; or assay accept EXPERIMENT NAME --first --why REASON"
    return Judgement("inconclusive", "floor", None, NOTHING, hint)


def scored_otherwise(against: str) -> Judgement:
    """No verdict: what the metric gets of both arms was made by different code."""
    why = f"score() of learning.py is not that of {against}, and their stored scores mean different things"
    hint = f"write score() as {against} has it, or accept this tree as a new start with baseline: floor"
    return Judgement(INCOMPARABLE, against, None, why, hint)


def unmeasured(against: str, why: str) -> Judgement:
    """No verdict: the baseline's script could not be measured by today's ruler."""
    return Judgement(INCOMPARABLE, against, None, why, "set another baseline:, or accept the ruler by itself first")


def unrecorded(against: str, why: str) -> Judgement:
    """No verdict: nobody could be told later that somebody looked."""
    return Judgement("inconclusive", against, None, f"{UNRECORDED}: {why}", RECORD, recorded=False)


def against_baseline(
    candidate: Scored, baseline: Scored, metric: Metric, test: str, look: Look, fixed: bool = False
) -> Judgement:
    """Against the accepted strategy's own replicates, measured under the same ruler."""
    arms = baseline.measured(metric.name), candidate.measured(metric.name)
    found = _compare(*arms, metric, test, look, fixed)
    return Judgement(found.verdict, baseline.arm.name, _with_doubts(found, (baseline, candidate), metric, fixed))


def _with_doubts(found: Comparison, arms: Sequence[Scored], metric: Metric, fixed: bool) -> Comparison:
    """With a caution for each arm whose replicates repeat each other although nobody said that they would."""
    constant = fixed and any(arm.measured(metric.name).constant for arm in arms)
    doubts = [
        cautions.counted_once(arm.arm.arm, len(arm.replicates), len(arm.replicates) - len(arm.same_as))
        for arm in arms
        if arm.same_as and not constant
    ]
    if fixed and not constant:
        doubts.append("task.fixed is true, but replicates differ: they are judged as runs that chance moves")
    return replace(found, warnings=(*found.warnings, *doubts))


def _vary(purpose: str) -> str:
    return variation.in_words(variation.varied(purpose))


def _splits(measured: Measurement) -> str:
    """One hash over the splits of all replicates."""
    return "" if measured.splits is UNSET else measured.splits.content


def differences(baseline: Scored, candidate: Scored) -> list[str]:
    """Fields that forbid a subtraction, each with both values."""
    first, second = baseline.arm, candidate.arm
    assert first.measurement and second.measurement
    pairs = {
        "hardware": (first.environment.machine_class, second.environment.machine_class),
        "environment": (_elsewhere(first.environment), _elsewhere(second.environment)),
        "profile": (first.measurement.profile, second.measurement.profile),
        "vary": (_vary(first.measurement.purpose), _vary(second.measurement.purpose)),
        "evaluated examples": (first.evaluated, second.evaluated),
        "splits": (_splits(first.measurement), _splits(second.measurement)),
    }
    return [f"{field}: baseline {one}, candidate {other}" for field, (one, other) in pairs.items() if one != other]


def _elsewhere(one: Environment) -> str:
    """An environment without its hardware."""
    return msgspec.structs.replace(one, device="", machine="", hardware=UNSET, classes=UNSET).key


def _compare(
    baseline: float | MeasuredArm, candidate: MeasuredArm, metric: Metric, test: str, look: Look, fixed: bool
) -> Comparison:
    return compare_arms.compare_arms(
        baseline,
        candidate,
        metric.direction,
        test=test,
        alpha=look.alpha,
        min_effect=metric.min_effect,
        worst=metric.worst,
        hold=look.hold,
        fixed=fixed,
        distinct=True,  # same predictions are counted once already; other ties are data
    )
