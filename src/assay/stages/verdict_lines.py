"""The lines of a verdict, and everything that must not be overlooked beside it.

Covers: what `evaluate` keeps and `verdict` prints. Not covered: how a comparison reads (`report.comparison_text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.changes import strategy_content
from assay.core import schemas, variation
from assay.metrics import (
    arm_costs,
    below_floor,
    floor_scores,
    new_examples_interval,
    reference_findings,
    result_files,
    slice_losses,
)
from assay.metrics.candidate_verdict import Judgement
from assay.metrics.reference_findings import NamedReference
from assay.metrics.result_files import Evaluated
from assay.report import comparison_text, reference_text
from assay.runtime import files
from assay.runtime.stage_setup import StageContext
from assay.stats import baseline_drift, cautions, hypothesis_tests, sequential_testing, training_cost
from assay.stats.arm_comparison import Comparison

#: what a reported number cannot say
NO_PREDICTIONS = (
    "new examples: not known, a reported number has no predictions, and no test part; fit() in a task gives both "
    "for about eight lines (docs/tasks.md)"
)
#: what splits that are drawn anew mean for a verdict
SPLITS = (
    "on {} splits, validation parts {:.0f} % of the training parts: about trainings on other draws of such data; "
    "no cases, slices, class plots or ensemble"
)
#: digits of a score that stands outside of a comparison
DIGITS = 4


def lines(
    ctx: StageContext, found: Evaluated, against: int, references: Sequence[NamedReference] = ()
) -> Iterator[str]:
    """The verdict and everything that must not be overlooked beside it."""
    judged, ruler_ = found.judgement, found.ruler
    if judged.comparison is None:
        yield f"{judged.verdict}: {judged.reason}" + (f"; next: {judged.hint}" if judged.hint else "")
        if ctx.params.is_script:
            values = found.candidate.values(ruler_.decides)
            yield f"{'':11}{comparison_text.alone(values, ruler_.decides, found.metric_version)}"
            yield from (f"{'':11}caution: {line}" for line in alike(found))
    else:
        result, version = judged.comparison, found.metric_version
        interval = new_examples_interval.interval(found, result, ctx.params.judge.test)
        name = ruler_.decides
        yield comparison_text.verdict_lines(result, name, judged.against, version, against, interval, found.lost)
        if interval is not None:
            yield f"{'':11}{comparison_text.new_examples_line(interval, comparison_text.decimals(result))}"
        yield from (f"{'':11}{line}" for line in slice_losses.remarks(found.slices))
        if found.slices and not result_files.declares_slices(ctx.layout):
            entry = "`- results/slices.csv: {cache: false}` under stages.evaluate.plots in dvc.yaml"
            yield f"{'':11}for a table of them add {entry}"
        if ctx.params.is_script:
            yield f"{'':11}{NO_PREDICTIONS}"
        if found.split_floors is not None:
            yield f"{'':11}{SPLITS.format(len(found.candidate.replicates), 100 * (found.candidate.overlap or 0.0))}"
        yield from futility(ctx, judged, result)
        yield from _cost(ctx, found)
    if not variation.has_all_of_training(vary := _vary(found)):
        alone = f"replicates differ in {variation.in_words(vary)} alone: the verdict says nothing about other chance"
        yield f"{'':11}caution: {alone}"
    if found.baseline is None:
        yield from (f"{'':11}{line}" for line in floor_scores.reasons(found.absent_floors))
    for group in found.arms:
        for line in cautions.made_differently(group.arm.arm, (one.execution for one in group.replicates)):
            yield f"{'':11}caution: {line}"
        for note in group.arm.measurement.texts("caution") if group.arm.measurement else ():
            yield f"{'':11}caution: {group.arm.arm}: {note}"
    for late in found.candidate.arm.unproven:
        yield f"unproven: {late} was imported after the check; git add it, and add it to the stage's deps in dvc.yaml"
    path = ctx.layout.accepted
    named = schemas.decode(files.read_bytes(path, "dvc repro -f context"), AcceptedStrategy, str(path))
    yield from _drift(named, found, ctx.params.judge.alpha)
    yield from _changes(ctx, named)
    name = ruler_.decides
    yield from (f"{'':11}{line}" for line in _references(found, references))
    for line in below_floor.lines(found.candidate, found.floors, name, ruler_.metric.direction):
        yield f"{'':11}{line}"


def alike(found: Evaluated) -> Iterator[str]:
    """That all runs of the candidate reported one number, which a comparison would say."""
    count = len(found.candidate.replicates)
    if count > 1 and len(found.candidate.same_as) == count - 1 and not found.fixed:
        yield hypothesis_tests.repeated("candidate", count)


def _vary(found: Evaluated) -> Sequence[str]:
    """What differs between the candidate's replicates."""
    measured = found.candidate.arm.measurement
    return variation.varied(measured.purpose) if measured else variation.KINDS


def _references(found: Evaluated, references: Sequence[NamedReference]) -> Iterator[str]:
    """Published numbers, each on a line; below those that this run misses, once, what to look at."""
    for one in references:
        asked = one.reference
        yield from reference_text.lines(one.name, asked.source, asked.value, asked.margin, one.metric, one.finding)
    if missed := list(reference_findings.failed(references)):
        facts, sizes = reference_findings.facts(found), {one.reference.examples for one in missed}
        size = sizes.pop() if len(sizes) == 1 else None
        yield from reference_text.what_to_look_at(facts.parameters, facts.examples, size, facts.left_out)


def _drift(named: AcceptedStrategy, found: Evaluated, alpha: float) -> Iterator[str]:
    """What the tag says of the baseline, where another version of the library measured it again."""
    then, arm_ = named.then, found.baseline
    if then is None or then.mean is None or arm_ is None or not arm_.values(found.ruler.decides):
        return
    again = arm_.arm.environment.library != named.fingerprint
    if again and named.metric_version == found.metric_version and found.profile == "full":
        moved = baseline_drift.drift((then.mean, then.sd, then.n), np.array(arm_.values(found.ruler.decides)))
        for line in comparison_text.drift_lines(moved, named.name, named.library, alpha, DIGITS):
            yield f"{'':11}{line}"


def futility(ctx: StageContext, judged: Judgement, result: Comparison) -> Iterator[str]:
    """That progress at the last look of the plan is unlikely, at the level which this account leaves for that look."""
    looks, level = ctx.params.judge.looks, judged.last_level
    if level is None or not looks or result.candidate.n >= looks[-1]:
        return
    if sequential_testing.futile(result, looks[-1], level):
        yield f"{'':11}futile: progress at n={looks[-1]} is unlikely; stopping here costs no error (non-binding)"


def _cost(ctx: StageContext, found: Evaluated) -> Iterator[str]:
    """A gain that costs more than the project wants to pay."""
    most = ctx.params.judge.max_cost
    if most is not None and found.baseline is not None and found.judgement.verdict == "progress":
        for line in training_cost.over(arm_costs.of_both(found.baseline, found.candidate), most):
            yield f"{'':11}{line}"


def _changes(ctx: StageContext, named: AcceptedStrategy) -> Iterator[str]:
    if named.name != FLOOR:
        profile = ctx.params.profile
        found = strategy_content.changes_since(ctx.layout, ctx.run.home, named.commit, profile)
        yield f"changed against {named.name}: {found}"
