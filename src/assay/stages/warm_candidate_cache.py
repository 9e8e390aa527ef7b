"""warm_candidate_cache: the candidate's replicates, trained into the cache while the baseline is trained; no stage of
dvc.yaml.

`assay stage beside SCRATCH`, started by the stage `baseline`, writes one byte to its stdout when it begins to
train. It makes no output of a stage, so that no stage depends on it, and whatever becomes of it, the stage `train` does
the rest.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET

from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.replicates.assemble_measurement import Watch
from assay.replicates.measure_request import ALONE, today
from assay.runtime import parent_watch
from assay.runtime.stage_setup import start
from assay.stages.train import candidate
from assay.stages.train_doctor import TrainDoctor
from assay.stages.train_recorder import TrainRecorder


def main(root: Path, arguments: Sequence[str]) -> None:
    ctx = start(root, "train")
    if ALONE in os.environ or parent_watch.processors() == 1 or today(ctx).device != "cpu":
        return
    parent = _to_parent_alone()
    asked, code = candidate(ctx)
    if asked.draws is not UNSET:  # splits train one after another, each in its turn
        return
    ctx.prove(code.files)
    settings = assemble_measurement.requested(asked, root)
    sample = samples.read(asked, settings)
    if assemble_measurement.at_hand(asked, settings, sample) is not None:
        return
    ahead = importlib.import_module("assay.training.candidate_cache_warmup")
    own = set(ctx.unproven())  # this module and what it is started for, which train no one

    def late() -> list[str]:
        return [file for file in ctx.unproven() if file not in own]

    doctor, recorder = TrainDoctor(ctx, quiet=True), TrainRecorder(ctx)  # what they find is kept for `train` to say
    watch = Watch(code.check, late, doctor.before, recorder=recorder.module)
    ahead.train(asked, root, settings, sample, Path(arguments[0]), watch, lambda: os.write(parent, b"."))


def _to_parent_alone() -> int:
    """A descriptor of what was stdout; from now on nothing that a task prints goes there, where nobody reads it."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return kept
