"""train: the candidate, all replicates, from the tree as it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.baseline import candidate_seeds
from assay.core import sanitize_output, schemas
from assay.core.errors import UsageError
from assay.core.schemas import MeasureRequest
from assay.data.storage import read_manifest
from assay.replicates.assemble_measurement import Watch
from assay.replicates.measure_request import request, today, training_closure, training_code
from assay.replicates.replicate_cache import ReplicateCache
from assay.runtime import dvc_yaml, files, source_analysis_cache
from assay.runtime.stage_setup import StageContext, start
from assay.stages import script_train
from assay.stages.measure import measured
from assay.stages.train_doctor import TrainDoctor
from assay.stages.train_recorder import TrainRecorder

ARM = "candidate"


@dataclass(frozen=True)
class Code:
    """The sources that train, and the hash that replicates are kept under."""

    root: Path
    task: str
    reached: tuple[Path, ...]
    digest: str

    @property
    def files(self) -> list[str]:
        return [file.as_posix() for file in self.reached]

    def check(self) -> None:
        """Once they are imported: raises UsageError where they are not those that were hashed."""
        if training_code(self.root, self.task) != self.digest:
            raise UsageError("sources were edited while the training began", hint="run the same command again")


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "train")
    if ctx.params.is_script:
        script_train.train(ctx)
        return
    asked, code = candidate(ctx)
    ctx.prove(code.files)
    source_analysis_cache.save(ctx.run.store.sources)
    settings = {"parameters": msgspec.to_builtins(ctx.params), "environment": msgspec.to_builtins(today(ctx))}
    files.write_text(ctx.layout.settings("train"), json.dumps(settings, indent=2) + "\n")
    doctor = TrainDoctor(ctx)
    recorder = TrainRecorder(ctx)

    def done(store: ReplicateCache) -> None:
        doctor.done(store)
        recorder.done(store, asked.replicates)

    watch = Watch(code.check, ctx.unproven, doctor.before, doctor.loop_watch, doctor.loop_seen, recorder.module, done)
    found, unproven = measured(asked, root, watch)
    doctor.diverged(found.replicates)
    for note in found.texts("remark", "caution"):  # the first stage said what is not kept
        print(sanitize_output.line(f"{ARM}: {note}"))
    doctor.write()
    recorder.write()
    Path(asked.answer).unlink()  # it is inside the record below
    arm = schemas.Arm(
        arm=ARM,
        name=ARM,
        commit=dvc_yaml.parent(root),
        experiment=ctx.run.experiment,
        environment=today(ctx),
        evaluated=read_manifest(ctx.layout.part("validation")).content,
        measurement=found,
        unproven=unproven,
    )
    files.write_bytes(ctx.layout.record(ARM), schemas.encode(arm))


def candidate(ctx: StageContext) -> tuple[MeasureRequest, Code]:
    """What is asked of the tree as it stands, and the code that answers."""
    root, task = ctx.layout.root, ctx.params.task.name
    code = Code(root, task, training_closure(root, task), training_code(root, task))
    return request(ctx, ARM, candidate_seeds.today(ctx.layout), ctx.layout.part("train"), code.digest), code
