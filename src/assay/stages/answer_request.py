"""answer_request: a worker's own process, which trains what another machine asked for; no stage of dvc.yaml.

`assay stage answer_request TASK.json`, in the unpacked tree. Refuses another environment, other parameters, code or
data than the request names before anything trains. Runs no DVC, writes no results, judges nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.core import environment_diff, params_yaml, schemas
from assay.core.errors import IncomparableError, ProvenanceError
from assay.core.params_yaml import Params
from assay.core.schemas import Environment, StageCode
from assay.core.work_stage_records import WorkerTask
from assay.replicates import assemble_measurement, replicate_cache
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import NOBODY, Watch
from assay.replicates.measure_request import training_code
from assay.runtime import environment, files, library_fingerprint, parent_watch, stage_fingerprint, tracked_code_check
from assay.runtime.stage_setup import StageContext, start
from assay.stages.context import packages
from assay.stages.train_doctor import TrainDoctor
from assay.stages.train_recorder import TrainRecorder


def main(root: Path, arguments: Sequence[str]) -> None:
    task = schemas.decode(files.read_bytes(Path(arguments[0])), WorkerTask, arguments[0])
    parent_watch.hold(task.starter)  # a worker killed before this process looked would leave it training for nobody
    asked = task.measure
    ctx = start(root, "train")
    params = assemble_measurement.requested(asked, root)
    library = library_fingerprint.fingerprints()
    code = stage_fingerprint.find(root, "train", ctx.params.task.name, None, library)
    check_environment(here(ctx, asked.device, code, library), task.environment)
    check_parameters(task.parameters, params_yaml.strategy(params))
    _check_code(root, params, asked.code)
    sample = samples.read(asked, params)
    names = replicate_cache.store(asked, params, sample, []).names
    if [names.name(number) for number in asked.replicates] != task.entries:
        raise ProvenanceError(
            "this machine gives the replicates other addresses: its examples are not those of the request",
            hint="submit it again from the project: assay work",
        )
    begun = Path(task.begun)
    learning = importlib.import_module("assay.training.sealed_replicates")
    learning.train(asked, root, params, sample, _watch(ctx, code) if task.examined else NOBODY, begun.touch)


def here(ctx: StageContext, device: str, code: StageCode, library: Mapping[str, str]) -> Environment:
    """This machine's environment for training the task of `ctx`, as the stage `context` finds it."""
    root, task = ctx.layout.root, ctx.params.task.name
    training = stage_fingerprint.library_of(root, library_fingerprint.TRAINING, task, library)
    return environment.find(device, packages(root, code), training)


def check_environment(found: Environment, asked: Environment) -> None:
    """Raises IncomparableError naming what differs."""
    if found.key == asked.key:
        return
    differing = [
        f"{name}{ours} here and {theirs} asked for" for name, ours, theirs in environment_diff.find(found, asked)
    ]
    raise IncomparableError(
        f"this machine's environment is not the one asked for: {'; '.join(differing)}",
        allowed="one environment for both arms",
        hint="install the same packages here, or submit the work for this kind of machine",
    )


def check_parameters(asked: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises IncomparableError where this library reads other parameters from the tree's params.yaml."""
    then, now = (dict(params_yaml.leaves(values)) for values in (asked, found))
    differing = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    if differing:
        name = differing[0]
        raise IncomparableError(
            f"this machine reads {name} as {now.get(name)!r}, the request says {then.get(name)!r}",
            hint="install the same version of Assay on both",
        )


def _check_code(root: Path, params: Params, asked: str) -> None:
    if (found := training_code(root, params.task.name)) != asked:
        raise ProvenanceError(
            f"the code that would train here is {found[:12]}, the request asks for {asked[:12]}",
            hint="submit it again from the project: assay work",
        )


def _watch(ctx: StageContext, code: StageCode) -> Watch:
    """The doctor and the recorder look, as in the stage `train`, which says later what they found."""
    doctor, recorder = TrainDoctor(ctx, quiet=True), TrainRecorder(ctx)
    root, own = ctx.layout.root, set(tracked_code_check.imported(ctx.layout.root))

    def late() -> list[str]:
        return [one for one in tracked_code_check.late(root, ctx.dependencies, code.sources) if one not in own]

    return Watch(lambda: None, late, doctor.before, doctor.loop_watch, doctor.loop_seen, recorder.module, doctor.done)
