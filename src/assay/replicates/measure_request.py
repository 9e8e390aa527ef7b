"""The request that both arms answer; candidate and baseline differ in purpose, code and folders only."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import UNSET

from assay.core import schemas, variation
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Draw, Environment, MeasureRequest, SplitDraw
from assay.runtime import dvc_yaml, files, shared_files, task_code, training_reads
from assay.runtime.stage_setup import StageContext

#: variable of the environment that is set where nobody will ask for the candidate: it is not trained ahead then
ALONE = "ASSAY_ALONE"
#: variable that names a file for the baseline's stage to make when it ran: DVC may restore its outputs instead
RAN = "ASSAY_RAN"


def training_closure(root: Path, task: str) -> tuple[Path, ...]:
    """Sources of the task that training imports, in the tree at `root`; Assay's own are environment."""
    return task_code.closure(root, task, task_code.LEARNING)


def training_code(root: Path, task: str) -> str:
    """Hash of what decides an arm's numbers in these sources, and in files of first weights."""
    code, weights = task_code.digest(root, task, task_code.LEARNING), training_reads.weights(root)
    return files.digest(f"{code} {sorted(weights.items())}".encode()) if weights else code


def today(ctx: StageContext) -> Environment:
    path = ctx.layout.environment
    return schemas.decode(files.read_bytes(path, "dvc repro context"), Environment, str(path), "dvc repro context")


def request(ctx: StageContext, arm: str, draw: Draw, train: Path, code: str) -> MeasureRequest:
    """What `arm` is asked to do; `train` is the folder of its training part, `code` the hash of its closure."""
    layout, asked = ctx.layout, ctx.params
    return MeasureRequest(
        profile=asked.profile,
        purpose=variation.purpose(draw.purpose, asked.vary),
        seed=asked.seed,
        replicates=list(range(draw.first, draw.first + asked.replicates)),
        device=asked.machine.device,
        devices=UNSET if asked.machine.devices is None else asked.machine.devices,
        environment=today(ctx).key,
        code=code,
        execution=asked.machine.execution,
        train=str(train),
        evaluate=str(layout.part("validation")),
        models=str(layout.models(arm)),
        predictions=str(layout.predictions(arm)),
        curves=str(layout.curves(arm)),
        log=str(layout.log(arm)),
        answer=str(layout.record(arm).with_suffix(".answer.json")),
        cache=str(ctx.run.store.root),
        logs=logs(layout, arm),
        shared=str(shared_files.configured(ctx.run.home) or ""),
        draws=draws(ctx) if variation.SPLIT in asked.vary else UNSET,
    )


def of_one_replicate(place: Path, params: Params, purpose: str, execution: str) -> MeasureRequest:
    """One replicate of `params` on the parts in the folder `place`, where all that comes of it is left; no cache."""
    return MeasureRequest(
        profile=params.profile,
        purpose=purpose,
        seed=params.seed,
        replicates=[0],
        device=params.machine.device,
        environment="",
        code="",
        execution=execution,
        train=str(place / "train"),
        evaluate=str(place / "validation"),
        cache="",
        models=str(place / "models"),
        predictions=str(place / "predictions"),
        curves=str(place / "curves.csv"),
        log=str(place / "log.txt"),
        answer=str(place / "answer.json"),
    )


def draws(ctx: StageContext) -> SplitDraw:
    """Where splits are drawn from, for replicates that have one each."""
    layout = ctx.layout
    return SplitDraw(
        train=str(layout.part("train")),
        validation=str(layout.part("validation")),
        prepared=str(layout.prepared),
        split=msgspec.to_builtins(ctx.params.split),
    )


def logs(layout: ProjectPaths, arm: str) -> str:
    """The folder for what each replicate prints, where dvc.yaml declares it; else ""."""
    declared = dvc_yaml.outputs(layout)
    folder = layout.logs(arm)
    return str(folder) if folder.relative_to(layout.root).as_posix() in declared else ""
