"""A few training steps, and the hash of every tensor after each: what two revisions are compared by.

Covers: the plain engine on CPU, one thread, deterministic, from fixed streams; tasks that bring their own
`fit`. Not covered: fused replicates, which are proven against this very engine, and accelerators.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core import params_yaml as parameters
from assay.core.params_yaml import Machine, Params
from assay.core.paths import ProjectPaths
from assay.core.trace_records import ModeTrace, Trace, TraceRequest
from assay.data import storage
from assay.data.content_hash import array_digest
from assay.data.storage import Examples
from assay.replicates.train_and_eval_examples import sample
from assay.replicates.training_progress import Progress
from assay.runtime import dvc_yaml, files
from assay.training import batches, configured_task, custom_fit, device, model_init, training_loop
from assay.training.custom_fit import LoopRun
from assay.training.random_streams import Streams
from assay.training.task_interface import Task
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check

NEEDED = ("ids", "inputs", "targets")
#: stream of the traced replicate: no measurement draws from it
PURPOSE = "guard"
#: entry of the last state that is no tensor of the model
PREDICTIONS = "predictions"


def trace(request: TraceRequest, root: Path) -> Trace:
    """Answer `request` with the code and params.yaml of `root`. Raises UsageError for a mode that is not there."""
    layout = ProjectPaths(root)
    content = dvc_yaml.parameters(root)
    given, _ = storage.read(Path(request.train), NEEDED)
    found = {}
    for mode in request.modes:
        settings = parameters.resolved(content, request.profile, str(layout.params), mode)
        settings = msgspec.structs.replace(settings, machine=Machine(device="cpu", execution="sequential"))
        found[mode] = ModeTrace(
            parameters=parameters.strategy(settings), states=_states(request, settings, given, root)
        )
    return Trace(modes=found)


def _states(request: TraceRequest, params: Params, given: Examples, root: Path) -> list[dict[str, str]]:
    """Before the first step, and after each; the last holds what the model predicts by then."""
    task = configured_task.load(params, root, given)
    few = sample(given, params.train.sample, stratify=params.train.stratify)
    few = few.take(np.arange(min(len(few), request.steps * params.train.batch_size)))
    with (
        device.threads(1),
        device.products(params.train.precision),
        device.determinism(True),
        tempfile.TemporaryDirectory() as scratch,
    ):
        if task.fit is not None:
            return _fitted(task, params, few, request.seed, Path(scratch))
        with closing(Progress(Path(scratch) / "curves.csv", Path(scratch) / "log", params.train.epochs)) as progress:
            return Traced(_plan(task, params, few, request.seed), progress).states_after(request.steps)


def _fitted(task: Task, params: Params, few: Examples, seed: int, checkpoints: Path) -> list[dict[str, str]]:
    """A loop of the task's own is one step: all of it, on the few examples."""
    made = custom_fit.fit(LoopRun(task, params, few, few, Streams(seed, PURPOSE, 0), checkpoints))
    assert made.predictions is not None
    return [{}, {**_hashes(safetensors.torch.load(made.weights)), PREDICTIONS: _hash(made.predictions)}]


def _plan(task: Task, params: Params, few: Examples, seed: int) -> TrainingPlan:
    train, evaluate = batches.tensors(task, few, few, device.DTYPES[params.train.precision])
    classes = None if few.classes is None else len(few.classes)
    return TrainingPlan(
        task=task,
        params=params,
        device=torch.device("cpu"),
        seed=seed,
        purpose=PURPOSE,
        train=train,
        evaluate=evaluate,
        classes=classes,
        outputs=batches.outputs(few),
    )


class Traced(training_loop.Training):
    """The training loop itself, looked at after each step: an edit of the loop shows, too."""

    def __init__(self, plan: TrainingPlan, progress: Progress) -> None:
        model_init.check(plan)
        super().__init__(plan, equivalence_check.alone(plan, 0), [0], progress)
        self.states = [_hashes(self.engine.weights(0))]

    def states_after(self, steps: int) -> list[dict[str, str]]:
        """States before and after each of at most `steps` steps; fewer where training is shorter or diverges."""
        while self.step < self.steps and len(self.states) <= steps and not self.monitor.over:
            self._epoch(self.step // self.feed.steps + 1)
        with self.engine.judged():
            (made,) = training_loop.predict(self.plan, self.engine)
        found = self.states[: steps + 1]
        return [*found[:-1], {**found[-1], PREDICTIONS: _hash(made)}]

    def _step(self, inputs: Tensor, targets: Tensor, lr: float) -> Tensor:
        losses = super()._step(inputs, targets, lr)
        self.states.append(_hashes(self.engine.weights(0)))
        return losses


def _hashes(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: _tensor_hash(tensor) for name, tensor in tensors.items()}


def _tensor_hash(tensor: Tensor) -> str:
    """Over type, shape and bits: two NaNs of different bits differ, as do 0 and -0."""
    bits = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return files.digest(f"{tensor.dtype}{tuple(tensor.shape)}".encode() + bits)


def _hash(array: NDArray[np.generic]) -> str:
    return array_digest(array)
