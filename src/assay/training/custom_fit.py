"""One replicate of a task that brings its own loop, `fit(params, data, seed, log)`, in this process.

Assay brings seeds, data, bookkeeping and judgement; steps, batches and checkpoints are the loop's own. Covers: calling
fit() and load(), of the older form `fit(params, data, seed)`, too, and what they leave. Not covered: a process of its
own (`training.replicate_process`).
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from msgspec import UNSET
from numpy.typing import NDArray
from torch import Tensor

from assay.core import params_yaml as parameters
from assay.core.params_yaml import Params
from assay.core.schemas import PREDICTIONS, Divergence, Note
from assay.data.storage import Examples
from assay.replicates.replicate_result import OWN_LOOP, Outcome, Point
from assay.training import batches, loop_data, loop_predictions, random_streams, recorder_beside_lanes, task_interface
from assay.training.example_inputs import DecodeCache
from assay.training.loop_data import LoopData, LoopParts
from assay.training.loop_log import LoopLog
from assay.training.loop_predictions import LoopPredictor
from assay.training.random_streams import Streams
from assay.training.recorder_beside_loop import RecordedLoop
from assay.training.task_interface import Task
from assay.training.training_spec import Recording

#: why a fit() of the older form is not recorded
OLDER = "fit(params, data, seed) of the older form is not recorded; fit(params, data, seed, log) is"


@dataclass(frozen=True)
class LoopRun:
    """What one replicate needs, and who is told: of each point of its curve, and of notes."""

    task: Task
    params: Params
    train: Examples
    evaluated: Examples
    streams: Streams
    checkpoints: Path
    device: str = "cpu"
    cache: DecodeCache | None = None
    tell: Callable[[Point], None] = lambda _point: None
    note: Callable[[Note], None] = lambda _note: None
    recording: Recording | None = None
    rank: int = 0  # among the processes that train this replicate together
    world_size: int = 1

    @property
    def given(self) -> dict[str, Any]:
        """`params` as fit() gets them."""
        return parameters.as_given(self.params)

    def remark(self, text: str) -> None:
        self.note(Note(f"replicate {self.streams.number}: {text}"))

    def caution(self, text: str) -> None:
        self.note(Note(text, "caution"))


def is_older_form(task: Task) -> bool:
    """Whether fit() is `fit(params, data, seed)`, which gets the training part as arrays and no log."""
    assert task.fit is not None
    if not task_interface.binds(task.fit, *task_interface.MEMBERS["fit"][:3]):
        return False
    return "log" not in inspect.signature(task.fit).parameters


def fit(run: LoopRun) -> Outcome:
    """Train and predict. fit() sees the training part alone, what it returns sees inputs alone."""
    if is_older_form(run.task):
        outcome = _fit_older(run)
        outcome.recorded = recorder_beside_lanes.impossible(OLDER) if run.recording is not None else b""
        return outcome
    parts = loop_data.parts(run.task, run.params, run.train, run.evaluated, run.cache)
    data = _data(run, parts)
    log = LoopLog(run.tell, run.remark)
    _seed(run)
    started = time.perf_counter()
    recorded = RecordedLoop(run.recording)
    with recorded.watching():
        made = _called(run, data, run.streams.display, log)
    predictor = _predictor(run, made, "fit", parts)
    began = time.perf_counter()
    predicted = predictor.predictions()
    ended = time.perf_counter()
    for said in predictor.notes:
        run.remark(said)
    _check_again(run, predictor, predicted)
    kept = _checked_weights(run, made, parts, predicted)
    outcome = _outcome(run, ended - started, predicted, kept, (ended - began) / len(run.evaluated))
    outcome.recorded = recorded.taken(made, parts, predicted, run.task.score is not None, run.streams.display)
    return outcome


def assist(run: LoopRun) -> None:
    """Train beside the process of rank 0: what fit() returns here, and what it logs, is not looked at."""
    parts = loop_data.parts(run.task, run.params, run.train, run.evaluated, run.cache)
    _seed(run)
    _called(run, _data(run, parts), run.streams.display, LoopLog(run.tell, run.remark))


def _seed(run: LoopRun) -> None:
    """Seed the global generators, those of accelerators included, which the loop may start later."""
    random_streams.seed_globals(run.streams.display)
    torch.manual_seed(run.streams.display)


def _called(run: LoopRun, *arguments: Any) -> Any:
    try:
        return run.task.call("fit", run.given, *arguments)
    except SystemExit as error:
        raise run.task.refuse(f"fit() leaves with sys.exit({error.code!r})", "returning what predicts") from error


def predict(run: LoopRun, weights: bytes) -> NDArray[np.float32]:
    """Predictions of the task's `load()` from weights that were kept."""
    parts = loop_data.parts(run.task, run.params, run.train, run.evaluated, run.cache)
    return _loaded(run, safetensors.torch.load(weights), parts).predictions()


def divergence(predicted: NDArray[np.float32]) -> Divergence | None:
    return None if np.isfinite(predicted).all() else Divergence(epoch=0, step=0, tensor=PREDICTIONS)


def _data(run: LoopRun, parts: LoopParts) -> LoopData:
    return LoopData(
        train=parts.train,
        checkpoints=run.checkpoints,
        classes=run.train.classes,
        outputs=batches.outputs(run.train),
        shape=parts.shape,
        rank=run.rank,
        world_size=run.world_size,
        _held=parts.holdout,
        _place=run.device,
    )


def _predictor(run: LoopRun, made: Any, name: str, parts: LoopParts) -> LoopPredictor:
    return LoopPredictor(run.task, made, name, parts.evaluated, run.evaluated, run.params.train.batch_size)


def _loaded(run: LoopRun, weights: dict[str, Tensor], parts: LoopParts) -> LoopPredictor:
    return _predictor(run, run.task.call("load", run.given, weights), "load", parts)


def _check_again(run: LoopRun, predictor: LoopPredictor, predicted: NDArray[np.float32]) -> None:
    """Whether the first examples are predicted alike once more, by themselves."""
    few = predictor.few()
    if largest := loop_predictions.differs(predicted[: len(few)], few):
        run.remark(f"predictions of the same examples differ by up to {largest:.2g}")
        run.caution("what fit() returns predicts the same examples otherwise when asked again: is it in eval()?")


def _checked_weights(run: LoopRun, made: Any, parts: LoopParts, predicted: NDArray[np.float32]) -> dict[str, Tensor]:
    """Weights to keep; none where load() makes another predictor of them."""
    kept = loop_predictions.weights(made)
    if run.task.load is None:
        return kept
    if not kept:
        run.remark("load() is not used: what fit() returns has no state_dict() with tensors")
        return kept
    few = _loaded(run, kept, parts).few()
    if largest := loop_predictions.differs(predicted[: len(few)], few):
        run.remark(f"predictions of load() differ by up to {largest:.2g}")
        run.caution(
            "load() predicts otherwise than what fit() returned: weights are not kept, and new examples train again"
        )
        return {}
    return kept


def _fit_older(run: LoopRun) -> Outcome:
    """The form before log, data.train and data.holdout."""
    if run.params.train.holdout is not UNSET:
        raise run.task.refuse(
            "train.holdout is set, and fit(params, data, seed) cannot see it", "fit(params, data, seed, log)"
        )
    started = time.perf_counter()
    _seed(run)
    seen = replace(run.train, targets=run.train.seen_targets)
    made = _called(run, seen, run.streams.display)
    if not callable(made):
        raise run.task.refuse(f"fit() returns {type(made).__name__}", "a function from inputs to predictions")
    began = time.perf_counter()
    predicted = _predict_arrays(run.task, made, run.evaluated)
    ended = time.perf_counter()
    kept = loop_predictions.weights(made)
    return _outcome(run, ended - started, predicted, kept, (ended - began) / len(run.evaluated))


def _outcome(
    run: LoopRun, seconds: float, predicted: NDArray[np.float32], weights: dict[str, Tensor], inference: float
) -> Outcome:
    return Outcome(
        number=run.streams.number,
        seed=run.streams.display,
        execution=OWN_LOOP,
        seconds=seconds,
        steps=0,
        weights=loop_predictions.packed(weights),
        predictions=predicted,
        diverged=divergence(predicted),
        inference=inference,
    )


def _predict_arrays(task: Task, predictor: Any, evaluated: Examples) -> NDArray[np.float32]:
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
