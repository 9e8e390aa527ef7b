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
from msgspec import UNSET

from assay.baseline.accepted_strategy import FLOOR
from assay.core import sanitize_output, schemas, variation
from assay.core.errors import UsageError
from assay.core.paths import ARMS
from assay.data import example_notes, storage
from assay.data.storage import Examples
from assay.history import first_look_terms, look_ledger, strategy_hash
from assay.metrics import (
    candidate_verdict,
    evaluation_look,
    evaluation_setup,
    floor_scores,
    metric_definition,
    ran_on_this_machine,
    reference_findings,
    reported_scores,
    result_files,
    scored_arm,
    slice_scores,
    split_scores,
    undeclared_file_reads,
)
from assay.metrics.candidate_verdict import Judgement
from assay.metrics.floor_scores import Floors, PredictionForm
from assay.metrics.metric_definition import MetricDefinition, MetricTerms
from assay.metrics.result_files import Evaluated
from assay.metrics.scored_arm import Ruler, Scored
from assay.metrics.slice_scores import SliceFinding, SliceJudge
from assay.metrics.split_scores import JudgedExamples
from assay.metrics.task_metrics import Metric
from assay.metrics.version import reported_version
from assay.replicates import split_examples
from assay.runtime import dvc_yaml, environment, files, progress_line, task_source
from assay.runtime.stage_setup import StageContext, start
from assay.stages import verdict_lines, write_cases
from assay.stats import alpha_budget
from assay.stats.sequential_testing import Look

CANDIDATE, BASELINE = "candidate", "baseline"
#: floor → its scores on each split
SplitScores = Mapping[str, Sequence[Mapping[str, float]]]


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "evaluate")
    if ctx.params.is_script:
        _of_script(ctx)
        return
    with undeclared_file_reads.watching():
        module = task_source.load(root, ctx.params.task.name, "metrics")
    ctx.prove()
    part, content, drawn = _judged_on(ctx)
    own = evaluation_setup.read(root, ctx.params, module, part.ids, part.seen_targets)
    versions = evaluation_setup.versions(root, ctx.params, module, content, own.metrics)
    parents = _standard(ctx)
    standard = _since_first_look(ctx, parents)
    today = own.judging_by(*standard.terms) if standard.terms else own
    with ctx.said_by_task("metrics"):
        with progress_line.showing(progress_line.running("evaluate")):
            found, against = _evaluate(ctx, today, own.metrics, versions, standard, part, drawn)
        references = reference_findings.findings(found, ctx.params.judge)
        found = replace(found, references=reference_findings.in_short(references))
        result_files.write(ctx.layout, found)
        code = ran_on_this_machine.metrics_code(root, ctx.params.task.name)
        ran_on_this_machine.note_code(ctx.run.home, code)
        _note(ctx, found, code)
        (write_cases.write if drawn is None else write_cases.of_splits)(ctx, found)
        said = (*verdict_lines.lines(ctx, found, against, references), *_metric_changes(ctx, own, parents, standard))
        files.write_text(ctx.layout.verdict, "".join(f"{sanitize_output.lines(line)}\n" for line in said))


def _judged_on(ctx: StageContext) -> tuple[Examples, str, JudgedExamples | None]:
    """The examples of the ruler and their hash. Where each replicate has a split: the first one, one hash over all of
    them, and where their examples are found."""
    if variation.SPLIT not in ctx.params.vary:
        part, manifest = storage.read(ctx.layout.part("validation"), ["ids", "targets", *example_notes.ARRAYS])
        return part, manifest.content, None
    arm, folder = scored_arm.record(ctx.layout, CANDIDATE), ctx.layout.predictions(CANDIDATE)
    if arm.measurement is None or arm.measurement.splits is UNSET:
        raise UsageError(f"{ctx.layout.record(CANDIDATE)} records no splits", hint="dvc repro -f -s train")
    both = split_examples.both_parts(ctx.layout)
    drawn = JudgedExamples.read(both)
    ids = split_scores.ids_of(folder, "dvc repro -f -s train")
    return both.take(drawn.rows_of(ids[0], str(folder))), arm.measurement.splits.content, drawn


def _of_script(ctx: StageContext) -> None:
    """The same of numbers that scripts reported: no predictions, nothing to compute."""
    ctx.prove()
    own, parents = reported_scores.ruler(ctx.params), _standard(ctx)
    standard = _since_first_look(ctx, parents)
    today = own.judging_by(*standard.terms) if standard.terms else own
    arms = {name: scored_arm.record(ctx.layout, name) for name in ARMS}
    candidate, baseline = (reported_scores.load(ctx.layout, arms[name], ctx.params) for name in (CANDIDATE, BASELINE))
    assert candidate is not None  # only a baseline can be the floor
    human = ctx.params.judge.human
    floors = {**_given(ctx, today), **({} if human is None else {"human": {today.decides: human}})}
    if (why := arms[BASELINE].incomparable) is not UNSET:
        judged, against = candidate_verdict.unmeasured(arms[BASELINE].name, why), 0
    else:
        judged, against = _judged(ctx, candidate, baseline, floors, today, standard)
    version = reported_version.version(ctx.layout.root, ctx.params)
    found = reported_scores.evaluated((own, today), version, (candidate, baseline), floors, judged, ctx.params)
    references = reference_findings.findings(found, ctx.params.judge)
    short = reference_findings.in_short(references)
    found = replace(found, commit=dvc_yaml.parent(ctx.layout.root), references=short)
    result_files.write(ctx.layout, found)
    write_cases.of_script(ctx, found)
    _note(ctx, found, version)
    said = (*verdict_lines.lines(ctx, found, against, references), *_metric_changes(ctx, own, parents, standard))
    files.write_text(ctx.layout.verdict, "".join(f"{sanitize_output.lines(line)}\n" for line in said))


def _given(ctx: StageContext, today: Ruler) -> dict[str, dict[str, float]]:
    """The value to beat that params.yaml names, as a floor."""
    value = ctx.params.judge.floor
    return {} if value is None else {"given": {today.decides: value}}


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
    today = metric_definition.present(ctx.layout.root, name, "")
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
    standard: MetricDefinition,
    part: Examples,
    drawn: JudgedExamples | None,
) -> tuple[Evaluated, int]:
    """Everything found, and how many verdicts were given against the same baseline before."""
    candidate, baseline = (_scored(ctx, name, today, drawn) for name in (CANDIDATE, BASELINE))
    assert candidate is not None  # only the baseline can be the floor
    scored = metric_definition.keeps_scores(ctx.layout.root, today.decides)
    wanted = PredictionForm(
        candidate.predictions.shape[1:], None if part.classes is None else len(part.classes), scored
    )
    floors, each = _floors(ctx, today, wanted, part, drawn)
    floors.scores.update(_given(ctx, today))
    judged, against = _judged(ctx, candidate, baseline, floors.scores, today, standard, each)
    found = Evaluated(
        ruler=today,
        own=own,
        versions=versions,
        packages=_packages(standard),
        unseen=undeclared_file_reads.found(ctx.layout.root, ctx.params.task.name),
        profile=ctx.params.profile,
        commit=dvc_yaml.parent(ctx.layout.root),
        classes=None if part.classes is None else list(part.classes),
        candidate=candidate,
        baseline=baseline,
        floors=floors.scores,
        floor_predictions=floors.predictions,
        absent_floors=floors.absent,
        judgement=judged,
        slices=(),
        fixed=ctx.params.task.fixed,
        keeps_scores=scored,
        split_floors=each,
    )
    return (found if drawn else replace(found, slices=_slices(ctx, found, part))), against


def _scored(ctx: StageContext, name: str, today: Ruler, drawn: JudgedExamples | None) -> Scored | None:
    arm = scored_arm.record(ctx.layout, name)
    return (
        scored_arm.load(ctx.layout, arm, today) if drawn is None else split_scores.load(ctx.layout, arm, today, drawn)
    )


def _floors(
    ctx: StageContext, today: Ruler, wanted: PredictionForm, part: Examples, drawn: JudgedExamples | None
) -> tuple[Floors, dict[str, list[dict[str, float]]] | None]:
    """Floors, and on splits what each scores on every one of them."""
    human = ctx.params.judge.human
    if drawn is None:
        return floor_scores.read(ctx.layout, today, wanted, part.notes.get(example_notes.SECOND), human), None
    found = split_scores.floors(ctx.layout, today, drawn, wanted, human)
    return found.found, found.each


def _slices(ctx: StageContext, found: Evaluated, part: Examples) -> list[SliceFinding]:
    """The deciding metric by slice, where prepare() names slices and a verdict was given."""
    names, look = part.notes.get(example_notes.SLICES), found.judgement.look
    if found.judgement.comparison is None or look is None or names is None:
        return []
    judge = SliceJudge(
        ruler=found.ruler,
        candidate=found.candidate,
        baseline=found.baseline,
        floor=slice_scores.floor_predictions(found.floors, found.floor_predictions, found.ruler),
        test=ctx.params.judge.test,
        look=look,
        fixed=ctx.params.task.fixed,
    )
    return judge.findings(names)


def _note(ctx: StageContext, found: Evaluated, code: str) -> None:
    """Keep where no clone brings it that this code computed these numbers here."""
    if found.unseen:
        return
    predictions = {each.arm.arm: files.digest(each.predictions.tobytes()) for each in found.arms}
    tables = ctx.layout.replicates.read_bytes(), ctx.layout.rulers.read_bytes()
    ran_on_this_machine.note_scores(ctx.run.home, tables, code, predictions)


def _judged(
    ctx: StageContext,
    candidate: Scored,
    baseline: Scored | None,
    floors: Mapping[str, Mapping[str, float]],
    today: Ruler,
    standard: MetricDefinition,
    each: SplitScores | None = None,
) -> tuple[Judgement, int]:
    """The verdict at the level that earlier looks left, and how many other strategies were looked at before."""
    root, task = ctx.layout.root, ctx.params.task.name
    if unseen := undeclared_file_reads.found(root, task):
        against = baseline.arm.name if baseline else evaluation_look.FLOOR
        source, hint = task_source.path(root, task, "metrics").name, undeclared_file_reads.hint(root, task, unseen)
        return candidate_verdict.unseen(against, source, unseen, hint), 0
    if baseline is not None and metric_definition.scores_differ(standard, root, today.decides):
        return candidate_verdict.scored_otherwise(baseline.arm.name), 0
    if baseline is None and not floors:
        return candidate_verdict.alone(), 0
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
    judged = _judge(ctx, candidate, baseline, floors, today, look, each)
    last = alpha_budget.last_level(known.looks, entry) if entry.key.plan else None
    return replace(judged, level=price.level, last_level=last, look=look), look_ledger.others(known, entry)


def _judge(
    ctx: StageContext,
    candidate: Scored,
    baseline: Scored | None,
    floors: Mapping[str, Mapping[str, float]],
    today: Ruler,
    look: Look,
    each: SplitScores | None,
) -> Judgement:
    test, fixed = ctx.params.judge.test, ctx.params.task.fixed
    if baseline is not None:
        return candidate_verdict.against_baseline(candidate, baseline, today.metric, test, look, fixed)
    scores = {name: score[today.decides] for name, score in floors.items()}
    splits = {name: [one[today.decides] for one in values] for name, values in (each or {}).items()}
    return candidate_verdict.against_floor(candidate, scores, today.metric, test, look, fixed, splits)
