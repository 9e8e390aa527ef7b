"""warm_grid_cache: replicates of several settings at once, for `assay sweep` and `assay ablate`, whose runs then find
them.

`assay stage ahead SETTINGS...`, each a JSON object of dotted keys; no stage of dvc.yaml.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.baseline import candidate_seeds
from assay.core import variation
from assay.replicates.measure_request import request, training_closure, training_code
from assay.runtime import source_analysis_cache
from assay.runtime.stage_setup import start
from assay.stages.train_doctor import TrainDoctor
from assay.stages.train_recorder import TrainRecorder
from assay.training.grid_cache_warmup import ahead


def main(root: Path, arguments: Sequence[str]) -> None:
    settings = [json.loads(argument) for argument in arguments]
    ctx = start(root, "train")
    if variation.SPLIT in ctx.params.vary:  # lanes train on one set of examples
        print(0)
        return
    if ctx.params.machine.doctor == "error":  # each run ends itself where the doctor finds one
        print(0)
        return
    replicates = settings[0].get("replicates", ctx.params.replicates)  # settings that train together agree in it
    ctx = dataclasses.replace(ctx, params=msgspec.structs.replace(ctx.params, replicates=replicates))
    reached = training_closure(root, ctx.params.task.name)
    ctx.prove([file.as_posix() for file in reached])
    code = training_code(root, ctx.params.task.name)
    asked = request(ctx, candidate_seeds.CANDIDATE, candidate_seeds.today(ctx.layout), ctx.layout.part("train"), code)
    source_analysis_cache.save(ctx.run.store.sources)
    own = set(ctx.unproven())  # this module and what it is started for, which train no one

    def late() -> list[str]:
        return [file for file in ctx.unproven() if file not in own]

    print(ahead(asked, root, settings, late, TrainDoctor(ctx, quiet=True).before, TrainRecorder(ctx).module))
