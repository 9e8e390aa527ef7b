"""measure_settings: trains settings of a search, scores them, records each as soon as it is finished; no stage of
dvc.yaml.

`assay stage measure_settings REQUEST.json`, in a repository of ours. Settings that differ in nothing but step size and
weight decay train as lanes of one training. Seeds are of a purpose of their own, that judges nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from assay.core import params_yaml
from assay.core.errors import AssayError, IncomparableError, UsageError
from assay.core.params_yaml import Params
from assay.core.schemas import Draw
from assay.data import example_notes, storage
from assay.history import search_records
from assay.history.search_records import AskedSetting, DeviceUse, FinishedSetting, KnownSetting, SearchTerms
from assay.metrics import evaluation_setup, reported_scores
from assay.metrics.scored_arm import Ruler
from assay.metrics.version import reported_version
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.measure_request import request, today, training_closure, training_code
from assay.runtime import dvc_yaml, files, parent_watch, source_analysis_cache, stage_fingerprint, task_source
from assay.runtime import tracked_code_check as tracked
from assay.runtime.stage_setup import StageContext, start
from assay.script import script_arm, script_strategies
from assay.search.generations import SEARCH_PURPOSE
from assay.training.grid_cache_warmup import ahead
from assay.training.setting_outcomes import SettingOutcomes, train_setting

Scores = list[float | None]


class SettingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Settings to train with replicates `first` … `first` + `count` − 1. `terms`: without what a run alone knows."""

    name: str
    round: int
    first: int
    count: int
    settings: list[AskedSetting]
    terms: SearchTerms
    known: list[KnownSetting] = []


def main(root: Path, arguments: Sequence[str]) -> None:
    asked = msgspec.json.decode(files.read_bytes(Path(arguments[0])), type=SettingsRequest)
    ctx = start(root, "train")
    ctx = replace(ctx, params=msgspec.structs.replace(ctx.params, replicates=asked.count))
    measure = _script(ctx, asked) if ctx.params.is_script else _task(ctx, asked)
    for one in asked.settings:
        began = time.monotonic()
        scores, failed = _measured(measure, one, asked.count)
        seconds = time.monotonic() - began
        search_records.add_finished(
            ctx.run.home,
            asked.name,
            FinishedSetting(number=one.number, round=asked.round, scores=scores, seconds=seconds, failed=failed),
        )


def _measured(measure: Callable[[AskedSetting], Scores], one: AskedSetting, count: int) -> tuple[Scores, str]:
    """Scores of a setting; where it does not run, why. HEAD's own is number 0: where that fails, everything does."""
    try:
        return measure(one), ""
    except UsageError as error:
        if one.number == 0:
            raise
        return [None] * count, error.sentence


def _agreed(ctx: StageContext, asked: SettingsRequest, **found: Any) -> None:
    """Record what all settings have in common, or refuse what is not as it was. Raises IncomparableError."""
    terms = msgspec.structs.replace(asked.terms, environment=today(ctx).key, **found)
    known = search_records.read(ctx.run.home, asked.name).terms
    if known is None:
        search_records.begin(ctx.run.home, asked.name, terms, asked.known)
        return
    for name, what in (
        ("code", "the code that trains"),
        ("data", "the data"),
        ("environment", "this environment"),
        ("metric_version", "the metric"),
        ("direction", "the metric's direction"),
        ("worst", "worst"),
    ):
        if getattr(known, name) != getattr(terms, name):
            raise IncomparableError(
                f"{what} is not what the search {asked.name} was begun with",
                allowed="one code, data, metric and environment for all settings",
                hint="assay search ANOTHER-NAME begins a new one",
            )


def _task(ctx: StageContext, asked: SettingsRequest) -> Callable[[AskedSetting], Scores]:
    """Trains and scores a setting of a task; settings that can share a training were trained before this returns."""
    root, task = ctx.layout.root, ctx.params.task.name
    module = task_source.load(root, task, "metrics")
    _prove(ctx)
    part, manifest = storage.read(ctx.layout.part("validation"), ["ids", "targets", *example_notes.ARRAYS])
    ruler = evaluation_setup.read(root, ctx.params, module, part.ids, part.seen_targets)
    code = training_code(root, task)
    asked_of = request(
        ctx, "candidate", Draw(purpose=SEARCH_PURPOSE, first=asked.first), ctx.layout.part("train"), code
    )
    source_analysis_cache.save(ctx.run.store.sources)
    sample = samples.read(asked_of, ctx.params)
    _agreed(
        ctx,
        asked,
        code=code,
        data=sample.data,
        metric=ruler.decides,
        metric_version=evaluation_setup.version(root, ctx.params, module, manifest.content),
        direction=ruler.metric.direction,
        worst=ruler.metric.worst,
    )
    if len(asked.settings) > 1:
        ahead(asked_of, root, [{**one.values, "replicates": asked.count} for one in asked.settings])

    def measure(one: AskedSetting) -> Scores:
        params = _params(root, one, asked_of.profile)
        found = train_setting(asked_of, root, params, samples.read(asked_of, params))
        if one.number == 0 and asked.round == 0:
            search_records.add_use(ctx.run.home, asked.name, _use(found))
        return _scores(ctx, ruler, found)

    return measure


def _scores(ctx: StageContext, ruler: Ruler, found: SettingOutcomes) -> Scores:
    with ctx.said_by_task("metrics"):
        scores: Scores = [
            None
            if one.diverged or one.predictions is None
            else ruler.score(ruler.metric, one.predictions, f"replicate {one.number}")
            for one in found.outcomes
        ]
    return [one if one is not None and math.isfinite(one) else None for one in scores]


def _use(found: SettingOutcomes) -> DeviceUse:
    seconds = sum(one.seconds for one in found.outcomes) / len(found.outcomes)
    return DeviceUse(seconds=seconds, device=found.device, busy=found.busy, loading=found.loading)


def _params(root: Path, one: AskedSetting, profile: str) -> Params:
    return params_yaml.changed(dvc_yaml.parameters(root), one.values, profile)


def _prove(ctx: StageContext) -> None:
    """Code that trains and code that scores are in this process together: both are watched, by a stage each."""
    root, task = ctx.layout.root, ctx.params.task.name
    scoring = replace(ctx, stage="evaluate")
    tracked.check_tree(root, ctx.run.home, ctx.stage)
    seen = [*ctx.code.sources, *stage_fingerprint.check(ctx.layout, "evaluate", task).sources]
    reached = [file.as_posix() for file in training_closure(root, task)]
    tracked.check(
        root, ctx.stage, [*ctx.dependencies, *scoring.dependencies], sorted({*tracked.imported(root), *reached}), seen
    )


def _script(ctx: StageContext, asked: SettingsRequest) -> Callable[[AskedSetting], Scores]:
    """Runs a setting of a script, which reports its number by itself."""
    assert ctx.code.files  # what `context` saw is what is there
    root, draw = ctx.layout.root, Draw(purpose=SEARCH_PURPOSE, first=asked.first)
    out = script_strategies.outputs(ctx.layout, script_strategies.CANDIDATE)
    metric = reported_scores.metric(ctx.params)
    arm = script_strategies.candidate(ctx, draw, out, ctx.params.seed, asked.count)
    source_analysis_cache.save(ctx.run.store.sources)
    _agreed(
        ctx,
        asked,
        code=arm.code,
        data=arm.data,
        metric=metric.name,
        metric_version=reported_version.version(root, ctx.params),
        direction=metric.direction,
        worst=metric.worst,
    )

    def measure(one: AskedSetting) -> Scores:
        began, busy = time.monotonic(), _processor_seconds()
        try:
            params = _params(root, one, ctx.params.profile)
            found = script_arm.measure(replace(arm, params=params), lambda _: None)
        except UsageError:
            raise
        except AssayError:  # every replicate diverged
            return [None] * asked.count
        if one.number == 0 and asked.round == 0:
            seconds = time.monotonic() - began
            share = (_processor_seconds() - busy) / seconds / parent_watch.processors()
            use = DeviceUse(seconds=seconds / asked.count, device="cpu", busy=min(1.0, share), loading=None)
            search_records.add_use(ctx.run.home, asked.name, use)
        return [None if each.diverged or each.reported is msgspec.UNSET else each.reported for each in found.replicates]

    return measure


def _processor_seconds() -> float:
    """Of this process and of the children that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
