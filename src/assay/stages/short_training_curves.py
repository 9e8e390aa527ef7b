"""short_training_curves: losses of several settings after a few steps, for `assay rates`; no stage of dvc.yaml.

`assay stage short_training_curves ANSWER SETTINGS...`, each a JSON object of dotted keys. What can share a training
does; every replicate stays in the cache. Seeds are of a purpose of their own, that judges nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.core import params_yaml
from assay.core.params_yaml import Params
from assay.core.schemas import Draw, MeasureRequest
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.measure_request import request, training_closure, training_code
from assay.replicates.replicate_result import Outcome
from assay.runtime import dvc_yaml, files, source_analysis_cache
from assay.runtime.stage_setup import start
from assay.training import device
from assay.training.grid_cache_warmup import ahead
from assay.training.training_setup import prepare

PURPOSE = "rates"
#: a profile without an overlay
BARE = "short trainings"


def main(root: Path, arguments: Sequence[str]) -> None:
    ctx = start(root, "train")
    answer, settings = Path(arguments[0]), [over_profile(ctx.params, json.loads(one)) for one in arguments[1:]]
    short = msgspec.structs.replace(ctx.params, replicates=settings[0]["replicates"], profile=BARE)
    ctx = dataclasses.replace(ctx, params=short)
    ctx.prove([file.as_posix() for file in training_closure(root, ctx.params.task.name)])
    draw = Draw(purpose=PURPOSE, first=0)
    code = training_code(root, ctx.params.task.name)
    asked = request(ctx, "candidate", draw, ctx.layout.part("train"), code)
    source_analysis_cache.save(ctx.run.store.sources)
    ahead(asked, root, settings)
    found = [_losses(asked, root, change) for change in settings]
    files.write_text(answer, json.dumps(found))


def over_profile(params: Params, change: Mapping[str, Any]) -> dict[str, Any]:
    """`change`, to be read under the profile `BARE`: an overlay would win over it, so the user's lies below."""
    return {**params.profiles[params.profile], f"profiles.{BARE}": {}, **change}


def _losses(asked: MeasureRequest, root: Path, change: Mapping[str, Any]) -> list[float | None]:
    """The last loss on the evaluated part of each replicate; None where it diverged, or has no curve."""
    params = params_yaml.changed(dvc_yaml.parameters(root), change, asked.profile)
    return [_last(one) for one in _outcomes(asked, root, params)]


def _outcomes(asked: MeasureRequest, root: Path, params: Params) -> list[Outcome]:
    ready = prepare(asked, root, params, samples.read(asked, params))
    progress = assemble_measurement.watched(asked, params)
    train = params.train
    try:
        with device.products(train.precision), device.determinism(train.deterministic) as nondeterministic:
            return ready.group(asked, params, progress, nondeterministic).outcomes()
    finally:
        progress.close()


def _last(one: Outcome) -> float | None:
    if one.diverged or not one.curve or not math.isfinite(one.curve[-1].validation):
        return None
    return one.curve[-1].validation
