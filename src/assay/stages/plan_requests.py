"""plan_requests: which replicates a run of this project trains, and their addresses; trains nothing.

`assay stage plan_requests OUT.json DEVICE CLASS`, in a repository of ours whose context and split are made; no stage of
dvc.yaml. DEVICE is the device of the machines that will train, where that is not this one's, CLASS their name under
`machine.classes`. Where classes are blocks, only the replicates of that class are planned.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from assay.baseline import untracked_training_inputs
from assay.core import params_yaml, schemas
from assay.core.errors import UsageError
from assay.core.machine_section import MachineClass
from assay.core.paths import LOCK
from assay.core.schemas import Environment, MeasureRequest
from assay.core.work_stage_records import PlannedArm, PlannedWork
from assay.replicates import assemble_measurement, replicate_cache
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.measure_request import here, today
from assay.runtime import dvc_hash, environment, files, source_analysis_cache, tracked_code_check
from assay.runtime.stage_setup import StageContext, start
from assay.stages import baseline
from assay.stages.train import candidate


def main(root: Path, arguments: Sequence[str]) -> None:
    ctx = start(root, "train")
    if ctx.params.is_script:
        raise UsageError(
            "task.command is a script, and workers train tasks alone",
            allowed="a task.py, or a folder of tasks",
            hint="dvc exp run",
        )
    out, device, name = arguments
    where = _environment(here(ctx), device, ctx.params.machine.classes.get(name))
    asked, code = candidate(ctx)
    ctx.prove(code.files)
    source_analysis_cache.save(ctx.run.store.sources)
    named = baseline._named(ctx)
    arms = [_arm("candidate", "", root, _of_class(ctx, asked, name), _beside(ctx), where)]
    if named.commit:
        own = baseline.Asked(ctx, named)
        lock = own.tree / LOCK
        beside = untracked_training_inputs.training_files(lock.read_bytes()) if lock.is_file() else {}
        beside = {path: known for path, known in beside.items() if (own.tree / path).is_symlink()}
        arms.append(_arm("baseline", named.commit, own.tree, _of_class(ctx, own.request, name), beside, where))
    planned = PlannedWork(
        baseline=named.name,
        doctor=ctx.params.machine.doctor,
        arms=arms,
    )
    files.write_bytes(Path(out), schemas.encode(planned))


def _of_class(ctx: StageContext, asked: MeasureRequest, name: str) -> MeasureRequest:
    """The replicates that the class called so trains, all of them where classes are no blocks."""
    blocks = today(ctx).blocks(asked.replicates)
    mine = asked.replicates if blocks is None else [one for one in asked.replicates if blocks[one] == name]
    return msgspec.structs.replace(asked, replicates=mine, classes=UNSET, here="")


def _arm(
    arm: str,
    commit: str,
    project: Path,
    asked: MeasureRequest,
    beside: dict[str, str],
    where: Environment,
) -> PlannedArm:
    """One arm; its addresses follow from the environment that is asked for."""
    asked = msgspec.structs.replace(asked, environment=where.key, device=_device(asked.device, where))
    params = assemble_measurement.requested(asked, project)
    sample = samples.read(asked, params)
    names = replicate_cache.store(asked, params, sample, []).names
    return PlannedArm(
        arm=arm,
        commit=commit,
        project=str(project),
        measure=asked,
        environment=where,
        parameters=params_yaml.strategy(params),
        train=sample.data,
        evaluated=sample.seen,
        entries=[names.name(number) for number in asked.replicates],
        files=beside,
    )


def _environment(found: Environment, device: str, of_class: MachineClass | None = None) -> Environment:
    """This machine's environment on another device, or of a class; a GPU that is not here is asked for whole."""
    if of_class is None and device in ("", found.device):
        return found
    one = environment.class_of_machine(found, of_class or MachineClass(device=device))
    return msgspec.structs.replace(found, device=one.device, machine=one.machine, hardware=one.hardware)


def _device(asked: str, where: Environment) -> str:
    """How a worker names the device: a machine with a GPU trains on its processor where that is asked for."""
    if where.device == "cpu":
        return "cpu"
    return asked if asked.startswith("cuda") else "cuda"


def _beside(ctx: StageContext) -> dict[str, str]:
    """Path → DVC's hash of what the stage `train` depends on and Git does not track."""
    root = ctx.layout.root
    read = [path for path in ctx.dependencies if not os.path.isabs(path)]  # noqa: PTH117
    known = tracked_code_check.tracked(root, [path for path in read if (root / path).is_file()])
    untracked = [path for path in read if path not in known and (root / path).exists()]
    return {path: dvc_hash.digest(root / path) for path in untracked if not _is_tracked_folder(root, path)}


def _is_tracked_folder(root: Path, path: str) -> bool:
    """Whether the tree has all files of a folder."""
    if not (root / path).is_dir():
        return False
    inside = [file.relative_to(root).as_posix() for file in dvc_hash.inside(root / path)]
    return set(inside) <= tracked_code_check.tracked(root, inside)
