"""record_net: one replicate of the candidate trained again with a recorder beside it, where none was there before.

`assay stage record_net`, started by `assay net`; no stage of dvc.yaml. What is kept of the replicate stays as it is,
and the record says where the weights of this training are others. Reads the training and the validation part.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core import net_record
from assay.core.net_record import NetRecord
from assay.core.params_yaml import Params
from assay.core.schemas import DAMAGE, FOREGROUND, MeasureRequest
from assay.replicates import assemble_measurement, split_examples
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.replicate_result import Outcome
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.runtime import source_analysis_cache
from assay.runtime.stage_setup import start
from assay.stages import train_recorder
from assay.stages.train import candidate
from assay.stages.train_recorder import TrainRecorder
from assay.training import device, model_init, run_replicates
from assay.training.training_setup import prepare
from assay.training.training_spec import Recording

OTHER = "taken down in a training of its own, whose weights differ from those that are kept"


def main(root: Path, _arguments: Sequence[str]) -> None:
    ctx = start(root, "train")
    asked, code = candidate(ctx)
    ctx.prove(code.files)
    source_analysis_cache.save(ctx.run.store.sources)
    params = assemble_measurement.requested(asked, root)
    sample = split_examples.read(asked, params)
    recorder = TrainRecorder(ctx)
    store = _recorded(asked, root, params, sample, recorder.module)
    if store is None:
        print("net: a record is there already, and nothing was trained")
        return
    recorder.done(store, asked.replicates)
    recorder.write()


def _recorded(
    asked: MeasureRequest, root: Path, params: Params, sample: ExampleSubset, module: str
) -> ReplicateCache | None:
    """The cache with a record in it; None where it had one."""
    ready = prepare(asked, root, params, sample)
    with tempfile.TemporaryDirectory(prefix="assay-net-") as scratch:
        request = msgspec.structs.replace(asked, curves=f"{scratch}/curves.csv", log=f"{scratch}/log")
        progress = assemble_measurement.watched(request, params)
        made: list[Outcome] = []
        try:
            with device.products(params.train.precision), device.determinism(params.train.deterministic) as missing:
                group = ready.group(request, params, progress, missing)
                progress.keep = made.append
                if any(_is_there(group.store.recorded(one)) for one in asked.replicates):
                    return None
                number = asked.replicates[0]
                if ready.task.fit is not None:
                    group.loop.train([number], recorder=module)
                else:
                    model_init.check(group.plan)
                    wanted = Recording.of(module, number, sample.evaluated)
                    plan = dataclasses.replace(group.plan, recording=wanted, checkpoints=None)
                    way = "sequential" if asked.execution == FOREGROUND else asked.execution
                    run_replicates.run(plan, asked.replicates, [number], way, progress, group.store)
            _keep(group.store, made[0])
            return group.store
        finally:
            progress.close()


def _is_there(content: bytes) -> bool:
    """Whether a record says something, or says that none can be taken."""
    found = train_recorder.decoded(content)
    return not found.why or not found.possible


def _keep(store: ReplicateCache, outcome: Outcome) -> None:
    """Put the record beside the replicate; the replicate too, where it was no longer there."""
    kept = store.load(outcome.number)
    if kept is None:
        store.save(outcome)
        said = "which the cache had no more"
    else:
        same = kept.weights == outcome.weights
        store.keep_recorded(outcome.number, outcome.recorded if same else _noted(outcome.recorded))
        said = "with the weights that are kept, bit for bit" if same else "whose weights differ from those kept"
    print(f"net: replicate {outcome.number} trained again in {outcome.seconds:.1f} s, {said}")


def _noted(content: bytes) -> bytes:
    try:
        found = msgspec.json.decode(content, type=NetRecord)
    except DAMAGE:
        return content
    return net_record.encoded(msgspec.structs.replace(found, notes=[OTHER, *found.notes]))
