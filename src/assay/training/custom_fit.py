"""Replicates of a task that brings its own loop, `fit(params, data, seed) -> predictor`.

Assay brings seeds, data, bookkeeping and judgement; curves, checkpoints and fusing are the loop's own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core.schemas import PREDICTIONS, Divergence
from assay.data.storage import Examples
from assay.replicates.replicate_result import Outcome
from assay.training import engine, random_streams, task_interface
from assay.training.random_streams import Streams
from assay.training.task_interface import Task


def fit(task: Task, parameters: dict[str, Any], train: Examples, evaluated: Examples, streams: Streams) -> Outcome:
    """One replicate: `fit` sees the training part alone, the predictor sees inputs alone."""
    started = time.perf_counter()
    random_streams.seed_globals(streams.display)
    seen = replace(train, targets=train.seen_targets)
    predictor = task.call("fit", parameters, seen, streams.display)
    if not callable(predictor):
        raise task.refuse(f"fit() returns {type(predictor).__name__}", "a function from inputs to predictions")
    began = time.perf_counter()
    predicted = _predict(task, predictor, evaluated)
    inference = (time.perf_counter() - began) / len(evaluated)
    diverged = None if np.isfinite(predicted).all() else Divergence(epoch=0, step=0, tensor=PREDICTIONS)
    return Outcome(
        number=streams.number,
        seed=streams.display,
        execution="task",
        seconds=time.perf_counter() - started,
        steps=0,
        weights=safetensors.torch.save(_weights(predictor)),
        predictions=predicted,
        diverged=diverged,
        inference=inference,
    )


def _predict(task: Task, predictor: Any, evaluated: Examples) -> NDArray[np.float32]:
    try:
        made = predictor(evaluated.inputs)
    except Exception as error:
        raise task.refuse(f"the predictor of fit() fails with {task_interface.brief(error)}") from error
    if np.ma.is_masked(made):
        raise task.refuse("the predictor of fit() returns a masked array", "a row for each, none of it masked")
    array = np.asarray(made.detach().cpu() if isinstance(made, Tensor) else made)
    if array.ndim == 0 or len(array) != len(evaluated):
        raise task.refuse(
            f"the predictor of fit() returns {array.shape} for {len(evaluated)} examples", "a row for each"
        )
    if evaluated.classes is not None:
        allowed = task_interface.allowed_shapes(evaluated.targets.shape, len(evaluated.classes))
        if array.shape not in allowed:
            expected = f"{allowed[0]}, a probability for each class"
            raise task.refuse(f"the predictor of fit() returns {array.shape}", expected)
    return array.astype(np.float32)


def _weights(predictor: Any) -> dict[str, Tensor]:
    """What the predictor shows as `state_dict`, if it does, without what a file cannot hold."""
    state = getattr(predictor, "state_dict", None)
    found = state() if callable(state) else {}
    return {
        name: engine.plain(value)
        for name, value in found.items()
        if isinstance(value, torch.Tensor) and task_interface.storable(value)
    }
