"""evaluate: predictions of both arms and the floors → numbers under today's ruler → a verdict, which `verdict` prints.

The only stage that turns predictions into metrics, all of them in this one process and without torch. Whoever
sees its numbers has looked, so the look is in the ledger before there is a verdict. A verdict, even
`incomparable`, never fails it: DVC records no experiment for a failed stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from msgspec import UNSET

from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.changes import strategy_content
from assay.core import sanitize_output, schemas
from assay.core.errors import UsageError
from assay.core.schemas import Part
from assay.data import storage
from assay.history import first_look_terms, look_ledger, strategy_hash
from assay.metrics import (
    arm_costs,
    candidate_verdict,
    evaluation_look,
    evaluation_setup,
    metric_definition,
    new_examples_interval,
    ran_on_this_machine,
    result_files,
    scored_arm,
    undeclared_file_reads,
)
from assay.metrics.candidate_verdict import Judgement
from assay.metrics.metric_definition import MetricDefinition, MetricTerms
from assay.metrics.result_files import Evaluated
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.task_metrics import Metric
from assay.report import comparison_text
from assay.runtime import dvc_yaml, environment, files, task_source
from assay.runtime.stage_setup import StageContext, start
from assay.stats import baseline_drift, cautions, sequential_testing, training_cost
from assay.stats.arm_comparison import Comparison
from assay.stats.sequential_testing import Look

#: digits of a score that stands outside of a comparison
DIGITS = 4


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "evaluate")
    with undeclared_file_reads.watching():
        module = task_source.load(root, ctx.params.task.name, "metrics")
    ctx.prove()
    part, manifest = storage.read(ctx.layout.part("validation"), ["ids", "targets"])
    own = evaluation_setup.read(root, ctx.params, module, part.ids, part.targets)
    versions = evaluation_setup.versions(root, ctx.params, module, manifest.content, own.metrics)
    parents = _standard(ctx)
    standard = _since_first_look(ctx, parents)
    today = own.judging_by(*standard.terms) if standard.terms else own
    with ctx.said_by_task("metrics"):
        found, against = _evaluate(ctx, today, own.metrics, versions, _packages(standard), manifest)
        result_files.write(ctx.layout, found)
        _note(ctx, found)
        said = (*_lines(ctx, found, against), *_metric_changes(ctx, own, parents, standard))
        files.write_text(ctx.layout.verdict, "".join(f"{sanitize_output.lines(line)}\n" for line in said))


def _standard(ctx: StageContext) -> MetricDefinition:
    path = ctx.layout.baseline_metric
    return schemas.decode(files.read_bytes(path, "dvc repro -f context"), MetricDefinition, str(path))


def _since_first_look(ctx: StageContext, standard: MetricDefinition) -> MetricDefinition:
    """`standard`; for a floor with the terms by which this idea was first judged, whatever was committed since."""
    arm = scored_arm.record(ctx.layout, "candidate")
    if standard.tree != FLOOR or arm.measurement is None:
        return standard
    name, formerly = strategy_hash.names(arm.measurement.identity, ctx.layout.root)
    terms = first_look_terms.first(ctx.run.home, {name, *formerly}, FLOOR, ctx.params.metric.name)
    return standard if terms is None else msgspec.structs.replace(standard, **terms._asdict())


def _packages(standard: MetricDefinition) -> str:
    """What the metrics import from elsewhere, as `context` found it, in one line."""
    return environment.listed({} if standard.packages is UNSET else standard.packages)


def _metric_changes(
    ctx: StageContext, own: Ruler, parents: MetricDefinition, standard: MetricDefinition
) -> Iterator[str]:
    """That the metric is another one than the baseline's, and by which terms the verdict was given.

    For a floor that is the metric of the experiment's parent; `standard` has the terms of the first look at the idea.
    """
    name, metric = own.decides, own.metric
    terms = MetricTerms(metric.direction, metric.min_effect, metric.worst)
    today = metric_definition.definition(metric_definition.on_disk(ctx.layout.root), name, "", recorded=False)
    against = "the commit before" if parents.tree == FLOOR else parents.tree
    if found := metric_definition.changes(parents, today, terms):
        kept = standard.terms == parents.terms and standard.terms not in (None, terms)
        yield f"metric changed against {against}: {' · '.join(found)}" + (" (judged by the former)" if kept else "")
    if standard.terms not in (None, parents.terms, terms):
        found = metric_definition.terms_changed(standard, today, terms)
        yield f"metric changed since the first look at this idea: {' · '.join(found)} (judged by the former)"


def _evaluate(
    ctx: StageContext,
    today: Ruler,
    own: Mapping[str, Metric],
    versions: Mapping[str, str],
    packages: str,
    manifest: Part,
) -> tuple[Evaluated, int]:
    """Everything found, and how many verdicts were given against the same baseline before."""
    candidate = scored_arm.load(ctx.layout, scored_arm.record(ctx.layout, "candidate"), today)
    baseline = scored_arm.load(ctx.layout, scored_arm.record(ctx.layout, "baseline"), today)
    assert candidate is not None  # only the baseline can be the floor
    floors = _floors(ctx, today)
    judged, against = _judged(ctx, candidate, baseline, floors, today)
    found = Evaluated(
        ruler=today,
        own=own,
        versions=versions,
        packages=packages,
        unseen=undeclared_file_reads.found(ctx.layout.root, ctx.params.task.name),
        profile=ctx.params.profile,
        commit=dvc_yaml.parent(ctx.layout.root),
        classes=manifest.classes,
        candidate=candidate,
        baseline=baseline,
        floors=floors,
        judgement=judged,
        fixed=ctx.params.task.fixed,
    )
    return found, against


def _note(ctx: StageContext, found: Evaluated) -> None:
    """Keep where no clone brings it that this code ran here, and computed these numbers."""
    code = ran_on_this_machine.metrics_code(ctx.layout.root, ctx.params.task.name)
    ran_on_this_machine.note_code(ctx.run.home, code)
    if found.unseen:
        return
    predictions = {each.arm.arm: files.digest(each.predictions.tobytes()) for each in found.arms}
    tables = ctx.layout.replicates.read_bytes(), ctx.layout.rulers.read_bytes()
    ran_on_this_machine.note_scores(ctx.run.home, tables, code, predictions)


def _floors(ctx: StageContext, today: Ruler) -> dict[str, dict[str, float]]:
    """Floor → its score under every metric; a human has one under the deciding metric only."""
    found = {name: today.scores(row, f"floor {name}") for name, row in scored_arm.floors(ctx.layout, today).items()}
    human = ctx.params.judge.human
    return found if human is None else {**found, "human": {today.decides: human}}


def _judged(
    ctx: StageContext,
    candidate: Scored,
    baseline: Scored | None,
    floors: Mapping[str, Mapping[str, float]],
    today: Ruler,
) -> tuple[Judgement, int]:
    """The verdict at the level that earlier looks left, and how many other strategies were looked at before."""
    root, task = ctx.layout.root, ctx.params.task.name
    if unseen := undeclared_file_reads.found(root, task):
        against = baseline.arm.name if baseline else evaluation_look.FLOOR
        return candidate_verdict.unseen(against, unseen, undeclared_file_reads.mend(root, task, unseen)), 0
    if nothing := candidate_verdict.untested(candidate, baseline):
        return nothing, 0
    assert candidate.arm.measurement is not None
    names = strategy_hash.names(candidate.arm.measurement.identity, ctx.layout.root)
    asked = evaluation_look.asked(candidate, baseline, ctx.params, names, today.metric)
    try:
        entry, price, known = look_ledger.look(ctx.run.home, asked)
    except UsageError as error:
        return candidate_verdict.unrecorded(baseline.arm.name if baseline else evaluation_look.FLOOR, error.problem), 0
    look = Look(price.level or asked.key.alpha, price.hold, price.number, len(asked.key.plan))
    judged = _judge(ctx, candidate, baseline, floors, today, look)
    return replace(judged, level=price.level), look_ledger.others(known, entry)


def _judge(
    ctx: StageContext,
    candidate: Scored,
    baseline: Scored | None,
    floors: Mapping[str, Mapping[str, float]],
    today: Ruler,
    look: Look,
) -> Judgement:
    test, fixed = ctx.params.judge.test, ctx.params.task.fixed
    if baseline is not None:
        return candidate_verdict.against_baseline(candidate, baseline, today.metric, test, look, fixed)
    scores = {name: score[today.decides] for name, score in floors.items()}
    return candidate_verdict.against_floor(candidate, scores, today.metric, test, look, fixed)


def _lines(ctx: StageContext, found: Evaluated, against: int) -> Iterator[str]:
    """The verdict and everything that must not be overlooked beside it."""
    judged, ruler_ = found.judgement, found.ruler
    if judged.comparison is None:
        yield f"{judged.verdict}: {judged.reason}" + (f"; next: {judged.mend}" if judged.mend else "")
    else:
        result, version = judged.comparison, found.metric_version
        interval = new_examples_interval.interval(ctx.layout, found, result, ctx.params.judge.test)
        yield comparison_text.verdict_lines(result, ruler_.decides, judged.against, version, against, interval)
        if interval is not None:
            yield f"{'':11}{comparison_text.new_examples_line(interval, comparison_text.decimals(result))}"
        yield from _futility(ctx, judged.comparison)
        yield from _cost(ctx, found)
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


def _futility(ctx: StageContext, result: Comparison) -> Iterator[str]:
    looks = ctx.params.judge.looks
    n = result.candidate.n
    if looks and n < looks[-1]:
        level = sequential_testing.look(ctx.params.judge.alpha, looks[-1], looks).alpha
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
