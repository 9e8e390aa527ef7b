"""Which script an arm runs: the candidate's from the tree as it stands, the accepted one's from its commit.

Covers: what `context` writes down of either, the arms that are measured, whether the accepted script can be measured by
today's ruler. Not covered: running them (`script.script_arm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.core import params_yaml, schemas
from assay.core.errors import ProvenanceError, UsageError
from assay.core.params_yaml import Params
from assay.core.paths import ProjectPaths
from assay.core.schemas import Draw, ScriptInputs
from assay.core.task_section import TaskSection
from assay.replicates.measure_request import today
from assay.runtime import accelerators, device_places, files, script_source
from assay.runtime.device_places import Place
from assay.runtime.dvc_yaml import Run
from assay.runtime.stage_setup import StageContext
from assay.script import input_files
from assay.script.input_files import InputFile
from assay.script.script_arm import ScriptArm, ScriptOutputs, code_of

CANDIDATE, BASELINE = "candidate", "baseline"


def outputs(layout: ProjectPaths, arm: str) -> ScriptOutputs:
    """Where the stage of this arm puts what it makes."""
    return ScriptOutputs(layout.models(arm), layout.logs(arm), layout.log(arm))


def inputs_of_candidate(ctx: StageContext, python_path: Sequence[str]) -> ScriptInputs:
    """What the candidate depends on beside its code, as it is now."""
    found = input_files.of_work_tree(ctx.run, ctx.params.task.files)
    return _inputs(ctx, ctx.params, found, python_path)


def inputs_of_baseline(ctx: StageContext, named: AcceptedStrategy, python_path: Sequence[str]) -> ScriptInputs:
    """What the accepted script depends on beside its commit: today's ruler, and files that nobody keeps."""
    if named.name == FLOOR:
        return ScriptInputs(parameters={}, files={}, ruler={}, python_path=[])
    theirs = accepted_strategy.resolved(ctx.run.home, named.name, named.commit, ctx.params.profile)
    if not theirs.is_script:
        return ScriptInputs(parameters={}, files={}, ruler={}, python_path=[])
    tree = accepted_strategy.unpack(ctx.run, named.commit)
    found = input_files.of_commit(ctx.run, tree, named.commit, theirs.task.files)
    return _inputs(ctx, theirs, found, python_path)


def _inputs(ctx: StageContext, params: Params, found: Sequence[InputFile], python_path: Sequence[str]) -> ScriptInputs:
    root = ctx.layout.root
    ruler = script_source.ruler(root, ctx.params.task)
    return ScriptInputs(
        parameters=params_yaml.strategy(params),
        files={one.name: one.digest for one in found},
        ruler={file.as_posix(): files.digest((root / file).read_bytes()) for file in ruler},
        python_path=list(python_path),
    )


def recorded(layout: ProjectPaths, arm: str) -> ScriptInputs:
    """What `context` wrote down for this arm."""
    path, hint = layout.script(arm), "dvc repro context"
    return schemas.decode(files.read_bytes(path, hint), ScriptInputs, str(path), hint)


def candidate(ctx: StageContext, draw: Draw, out: ScriptOutputs, seed: int, count: int) -> ScriptArm:
    """The arm of the tree as it stands. Raises ProvenanceError where it is not what `context` saw."""
    known = recorded(ctx.layout, CANDIDATE)
    found = input_files.of_work_tree(ctx.run, ctx.params.task.files)
    differing = [one.name for one in found if known.files.get(one.name) != one.digest]
    if differing:
        raise ProvenanceError(f"{differing[0]} changed since the stage context looked", hint="dvc repro context train")
    root, task = ctx.layout.root, ctx.params.task
    return ScriptArm(
        arm=CANDIDATE,
        run=ctx.run,
        params=ctx.params,
        tree=root,
        inputs=found,
        ruler=script_source.ruler(root, task),
        python_path=known.python_path,
        profile=ctx.params.profile,
        environment=today(ctx).key,
        seed=seed,
        draw=draw,
        count=count,
        outputs=out,
        code=code_of(root, task),
        places=_places(ctx),
    )


def baseline(
    ctx: StageContext, named: AcceptedStrategy, draw: Draw, out: ScriptOutputs, seed: int, count: int
) -> ScriptArm:
    """The arm of the accepted script: its tree, parameters and files, under today's ruler."""
    tree = accepted_strategy.unpack(ctx.run, named.commit)
    theirs = accepted_strategy.resolved(ctx.run.home, named.name, named.commit, ctx.params.profile)
    return ScriptArm(
        arm=BASELINE,
        run=ctx.run,
        params=theirs,
        tree=tree,
        inputs=input_files.of_commit(ctx.run, tree, named.commit, theirs.task.files),
        ruler=script_source.ruler(ctx.layout.root, ctx.params.task),
        python_path=recorded(ctx.layout, BASELINE).python_path,
        profile=ctx.params.profile,
        environment=today(ctx).key,
        seed=seed,
        draw=draw,
        count=count,
        outputs=out,
        places=_places(ctx),
    )


def _places(ctx: StageContext) -> list[Place]:
    """Where runs are at work at the same time; none where `machine.devices` is not set."""
    machine, parallel = ctx.params.machine, ctx.params.task.parallel
    if machine.devices is None:
        return []
    if parallel > 1:
        raise UsageError(
            f"task.parallel is {parallel}, and machine.devices says how many run at a time",
            hint="remove one of them in params.yaml",
        )
    gpus = [] if today(ctx).device == "cpu" else [one.uuid for one in accelerators.visible()]
    return device_places.find(machine.devices, gpus)


def incomparable(run: Run, named: AcceptedStrategy, params: Params) -> str:
    """Why the accepted script cannot be measured by today's ruler; "" where it can."""
    theirs = accepted_strategy.resolved(run.home, named.name, named.commit)
    if not theirs.is_script:
        return f"{named.name} is a task of modules, the candidate is a script"
    old, new = theirs.task, params.task
    for field in ("key", "direction", "revision"):
        before, after = getattr(old.reported, field), getattr(new.reported, field)
        if before != after:
            return f"result.{field}: baseline {before}, candidate {after}"
    return _other_ruler(accepted_strategy.unpack(run, named.commit), named.name, old, new)


def _other_ruler(tree: Path, name: str, old: TaskSection, new: TaskSection) -> str:
    """Which file computes the number of one arm and not that of the other; "" where there is none."""
    before, after = set(old.ruler), set(new.ruler)
    if gone := sorted(before - after):
        return f"ruler: {gone[0]} computes the number of {name} and is not named today"
    if new_ones := sorted(file for file in after - before if not (tree / file).is_file()):
        return f"ruler: {new_ones[0]} computes the candidate's number, and {name} has no such file"
    return ""


def differs(tree: Path, root: Path, ruler: Sequence[Path]) -> bool:
    """Whether a file of today's ruler is another one than in `tree`."""
    return any(
        not (tree / file).is_file() or (tree / file).read_bytes() != (root / file).read_bytes() for file in ruler
    )
