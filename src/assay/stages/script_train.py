"""train of a script's project: the candidate's replicates, each a run of its command."""

from __future__ import annotations

import json
from functools import partial

import msgspec

from assay.baseline import candidate_seeds
from assay.core import sanitize_output, schemas
from assay.core.schemas import Arm
from assay.replicates.measure_request import today
from assay.runtime import dvc_yaml, files, source_analysis_cache
from assay.runtime.stage_setup import StageContext
from assay.script import script_arm, script_strategies

ARM = script_strategies.CANDIDATE


def say(stage: str, line: str) -> None:
    print(sanitize_output.line(f"{stage}: {line}"), flush=True)


def train(ctx: StageContext) -> None:
    assert ctx.code.files  # what `context` saw is what is there
    layout, asked = ctx.layout, ctx.params
    settings = {"parameters": msgspec.to_builtins(asked), "environment": msgspec.to_builtins(today(ctx))}
    files.write_text(layout.settings("train"), json.dumps(settings, indent=2) + "\n")
    draw, out = candidate_seeds.today(layout), script_strategies.outputs(layout, ARM)
    arm = script_strategies.candidate(ctx, draw, out, asked.seed, asked.replicates)
    source_analysis_cache.save(ctx.run.store.sources)
    found = script_arm.measure(arm, partial(say, "train"))
    for note in found.texts("remark", "caution"):  # the first stage said what is not kept
        say(ARM, note)
    record = Arm(
        arm=ARM,
        name=ARM,
        commit=dvc_yaml.parent(layout.root),
        experiment=ctx.run.experiment,
        environment=today(ctx),
        evaluated="",
        measurement=found,
        unproven=[],
    )
    files.write_bytes(layout.record(ARM), schemas.encode(record))
