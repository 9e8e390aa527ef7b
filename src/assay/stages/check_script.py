"""What `assay check` says of a script: its command, files and interpreter; and one run of it, where that was asked for.

A script has no two batches: a run is a run in full, and may take hours. So it is started for `--stage train` alone.
Results and cache lie in a temporary folder.
"""

from __future__ import annotations

from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import CachePaths
from assay.core.schemas import Draw
from assay.runtime import script_source
from assay.runtime.stage_setup import StageContext
from assay.script import input_files, script_arm
from assay.script.script_arm import ScriptArm, ScriptOutputs
from assay.stages import script_context


def look(ctx: StageContext) -> str:
    """Raises what `context` would refuse of the script before a run."""
    script_context.check(ctx)
    asked = script_context.ask_interpreter(ctx)
    found = input_files.of_work_tree(ctx.run, ctx.params.task.files)
    read = f", reads {len(found)} of task.files" if found else ""
    return f"{ctx.params.task.command}, Python {asked.python}{read}; --stage train runs it once, in full"


def once(ctx: StageContext, scratch: Path) -> str:
    """One replicate of the script, in full. Raises UsageError for what it gets wrong."""
    root, task = ctx.layout.root, ctx.params.task
    arm = ScriptArm(
        arm="candidate",
        run=ctx.run,
        params=ctx.params,
        tree=root,
        inputs=input_files.of_work_tree(ctx.run, task.files),
        ruler=script_source.ruler(root, task),
        python_path=script_context.ask_interpreter(ctx).folders,
        profile=ctx.params.profile,
        environment="",
        seed=ctx.params.seed,
        draw=Draw(purpose="check", first=0),
        count=1,
        outputs=ScriptOutputs(scratch / "models", scratch / "logs", scratch / "log"),
        cache=CachePaths(scratch),
    )
    try:
        (one,) = script_arm.measure(arm, print).replicates
    except UsageError as error:  # its log is gone with the folder; what it said last is in the sentence
        again = "correct the script, then assay check --stage train"
        raise UsageError(error.problem, allowed=error.allowed, hint=again) from error
    return f"1 replicate, {ctx.params.metric.name} {one.reported:.4g} reported"
