"""The plan of a request: its examples as tensors on a device, in the process that is going to train them."""

from __future__ import annotations

from pathlib import Path

import torch
from msgspec import UNSET

from assay.core.params_yaml import Params
from assay.core.schemas import MeasureRequest
from assay.data import holdout_split
from assay.data.storage import Examples
from assay.replicates.replicate_cache import Names
from assay.training import batches, device, soft_targets
from assay.training.checkpoint import Checkpoints
from assay.training.example_inputs import DecodeCache
from assay.training.task_interface import Task
from assay.training.training_spec import TrainingPlan


def of(
    request: MeasureRequest,
    params: Params,
    task: Task,
    where: torch.device,
    train: Examples,
    evaluated: Examples,
    names: Names,
) -> TrainingPlan:
    """`names` are those of the replicates in the cache; their checkpoints lie under them."""
    dtype = device.DTYPES[params.train.precision]
    cache = DecodeCache(Path(request.cache), request.environment) if request.cache else None
    parts = [train, evaluated]
    if (share := params.train.holdout) is not UNSET:
        held = holdout_split.held_out(train, share, params.split)
        parts = [train.take(~held), evaluated, train.take(held)]
    soft = soft_targets.read(task.root, params.train, parts[0], dtype)
    training, seen, *held_out = [one.to(where) for one in batches.of_parts(task, parts, dtype, cache)]
    return TrainingPlan(
        task=task,
        params=params,
        device=where,
        seed=request.seed,
        purpose=request.purpose,
        train=training,
        evaluate=seen,
        classes=None if evaluated.classes is None else len(evaluated.classes),
        outputs=batches.outputs(train),
        soft=None if soft is None else soft.to(training.targets.device),
        holdout=held_out[0] if held_out else None,
        checkpoints=Checkpoints(Path(request.cache) / "checkpoints", names) if request.cache else None,
    )
