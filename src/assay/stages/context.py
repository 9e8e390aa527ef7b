"""context: settled before any time is spent: parameters, task, code, environment, baseline.

Always runs, and refuses what a later stage would trip over while the last good results are still in place.
Writes what DVC cannot see by itself as files that stages depend on: the code that each reaches, the environment, the
commit behind `baseline:`, the metric as the baseline defines it. An edit of a helper, another machine or a moved tag
then re-runs what they concern, and coming back restores it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from assay.baseline import accepted_strategy, candidate_seeds
from assay.core import schemas, variation
from assay.core.errors import UsageError
from assay.core.paths import CODED
from assay.core.schemas import StageCode
from assay.metrics import metric_definition
from assay.runtime import (
    editable_install_check,
    environment,
    files,
    import_closure,
    library_fingerprint,
    metric_input_files,
    shadowed_modules,
    source_analysis_cache,
    stage_fingerprint,
    task_code,
    task_source,
    tracked_code_check,
    training_reads,
)
from assay.runtime import source_roots as trees
from assay.runtime.stage_setup import StageContext, start
from assay.stages import repository_checks

#: context of a script's project, imported where a project has one
OF_SCRIPT = "assay.stages.script_context"
#: how the names of ready tasks begin
READY = "assay.ready."


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "context")
    if ctx.params.is_script:  # by its name: it reaches NumPy, which takes longer to import than all of this to run
        importlib.import_module(OF_SCRIPT).settle(ctx)
        return
    editable_install_check.check(root, ctx.run.home)
    check_task(ctx)
    looked, library = import_closure.Looked(), library_fingerprint.fingerprints()
    task = ctx.params.task.name
    code = {stage: stage_fingerprint.find(root, stage, task, looked, library) for stage in CODED}
    shown = {} if code["evaluate"].shows is UNSET else code["evaluate"].shows
    needed = {package for one in code.values() for package in packages(root, one)}
    shadowed_modules.check(root, needed | import_closure.third_party(root, [Path(file) for file in shown]))
    prove_all(ctx, code)
    metric_input_files.check_known(root, ctx.params.task.name)
    training_reads.check_known(root, ctx.declared.get("train", ()))
    outside = packages(root, code["train"])
    repository_checks.check(ctx)
    training = stage_fingerprint.library_of(root, library_fingerprint.TRAINING, task, library)
    here = environment.find(ctx.params.machine.device, outside, training, ctx.params.machine.devices)
    found = environment.asked(here, ctx.params)
    baseline = accepted_strategy.resolve(ctx.run, ctx.params.baseline)
    metric = metric_definition.baseline_metric(
        root, ctx.run.home, baseline.name, baseline.commit, ctx.params.metric.name
    )
    metric = msgspec.structs.replace(metric, packages=environment.versions(packages(root, code["evaluate"])))
    candidates = candidate_seeds.of_candidates(ctx.run.home, baseline, ctx.params.judge.test)
    accepted = candidate_seeds.of_baseline(baseline, candidates)
    accepted, candidates = candidate_seeds.varying(accepted, candidates, ctx.params.vary)
    for stage, one in code.items():
        files.write_bytes(ctx.layout.code(stage), schemas.encode(one))
    files.write_bytes(ctx.layout.environment, schemas.encode(found))
    if found.classes is not UNSET:
        files.write_bytes(ctx.layout.machine, schemas.encode(here))
    files.write_bytes(ctx.layout.baseline_metric, schemas.encode(metric))
    files.write_bytes(ctx.layout.accepted, schemas.encode(accepted))
    files.write_bytes(ctx.layout.draw, schemas.encode(candidates))
    source_analysis_cache.save(ctx.run.store.sources)
    print(f"context: {found.key}; baseline {baseline.name} {baseline.commit[:12]}".rstrip())


def packages(root: Path, code: StageCode) -> set[str]:
    """First names of packages from elsewhere that the user's own files import, and ready tasks that these import.

    Not those that only show() imports: it runs in a process of its own, and trains and judges nothing.
    """
    own = [Path(file) for file in code.files]
    names = {name for file in own if file.suffix == ".py" for name in import_closure.imported_names(root, file)}
    found = {file for name in names if name.startswith(READY) and (file := trees.LIBRARY_TREE.find(name))}
    ready = import_closure.import_closure(trees.LIBRARY_TREE, sorted(found))
    return import_closure.third_party(root, own, task_code.without_show(root)) | import_closure.third_party(
        trees.LIBRARY_TREE, ready
    )


def check_task(ctx: StageContext) -> None:
    """The task's members, and the keyword arguments that params.yaml gives them, as its sources have them."""
    root, given = ctx.layout.root, ctx.params
    data, learning, metrics = (
        task_source.read(root, given.task.name, name) for name in ("data", "learning", "metrics")
    )
    task_source.check_loss(learning, task_source.where(root, given.task.name, "learning"), given.loss.name)
    if "fit" in learning.names and not variation.has_all_of_training(given.vary):
        raise UsageError(
            f"params.yaml: vary is {variation.in_words(given.vary)}, and fit() has one seed for all that it draws",
            hint="remove vary in params.yaml, or write model() and loss() in place of fit()",
        )
    if "fit" not in learning.names and (count := given.train.processes_per_replicate) > 1:
        raise UsageError(
            f"params.yaml: train.processes_per_replicate is {count}, and the task has no fit()",
            allowed="1 without a loop of its own",
            hint="write fit(), or remove train.processes_per_replicate in params.yaml",
        )
    task_source.check_options(data, "prepare", given.data, "data")
    task_source.check_options(learning, "model", given.model, "model")
    where = task_source.where(root, given.task.name, "metrics")
    if task_source.is_ready(metrics) and where in ctx.declared.get("evaluate", ()):
        raise UsageError(
            f"dvc.yaml: stage evaluate depends on {where}, which is not there",
            hint=f"write it, or remove `- {where}` under stages.evaluate.deps to use the ready metrics",
        )
    known = task_source.metrics(metrics)
    if known is None:
        return
    if given.metric.name not in known:
        where = f"ready metrics, as there is no {where}" if task_source.is_ready(metrics) else f"METRICS in {where}"
        raise UsageError(
            f"params.yaml: metric.name is {given.metric.name!r}",
            allowed=f"{', '.join(known)} ({where})",
            hint="set metric.name in params.yaml",
        )
    if function := known[given.metric.name]:
        task_source.check_options(metrics, function, given.metric.options, "metric.options")
    elif "score" not in learning.names and task_source.lacks_function(metrics, given.metric.name):
        raise UsageError(
            f"METRICS[{given.metric.name!r}] in {where} has no function",
            hint="name one, or write score(outputs, targets) in learning.py, whose mean the metric then is",
        )


def prove_all(ctx: StageContext, code: Mapping[str, StageCode]) -> None:
    """Every stage's sources, followed without running them, against Git."""
    root, home = ctx.layout.root, ctx.run.home
    declared = ctx.declared
    tracked_code_check.check_known(root, sorted({file for one in code.values() for file in one.sources}))
    for stage, one in code.items():
        own = [path for path in declared.get(stage, []) if path not in one.sources]
        tracked_code_check.check(root, stage, own, (), one.sources)
        if home != root:
            tracked_code_check.check_left_behind(home, root, stage, own, one.sources)
