"""A strategy in an exported folder, ready to predict.

Covers: the folder's head, the task's own sources beside those of other strategies, prediction, ensembles.
Not covered: writing such a folder (`verbs.export`), finding a strategy by name (`verbs.load`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.learning import contract
from assay.learning.contract import Task
from assay.outside import files
from assay.words import params, records
from assay.words.errors import UsageError
from assay.words.params import Params

HEAD, SOURCES, WEIGHTS, STATISTICS = "model.json", "src", "weights", "statistics.safetensors"


class Exported(records.Record, frozen=True, kw_only=True):
    """`model.json` of an exported strategy."""

    strategy: str
    commit: str
    profile: str
    classes: list[str] | None  # names; None for regression
    shape: list[int]  # of one preprocessed example
    outputs: int
    target: list[int]  # shape of one target
    metric_version: str
    test: float | None  # mean score on the sealed part


class Model:
    """Replicates of one strategy with its own preprocessing. `classes` are names, None for regression."""

    def __init__(self, folder: Path, ensemble: bool) -> None:
        path = folder / HEAD
        self.head = records.decode(files.read_bytes(path, "assay export STRATEGY FOLDER"), Exported, str(path))
        asked = params.resolved(files.read_bytes(folder / "params.yaml"), self.head.profile)
        self._task = own_task(folder / SOURCES, asked)
        statistics = folder / STATISTICS
        self._statistics = (safetensors.torch.load(statistics.read_bytes()),) if statistics.is_file() else ()
        weights = sorted((folder / WEIGHTS).glob("*.safetensors"), key=lambda file: int(file.stem))
        if not weights:
            raise UsageError(f"{folder} holds no weights", mend="assay export STRATEGY FOLDER")
        self._modules = [self._module(file, asked) for file in (weights if ensemble else weights[:1])]

    @property
    def classes(self) -> tuple[str, ...] | None:
        return None if self.head.classes is None else tuple(self.head.classes)

    def predict(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Predictions (N, …) for raw inputs (N, …), as `prepare` writes them; the mean over an ensemble."""
        raw = torch.from_numpy(np.ascontiguousarray(inputs))
        ready = raw if self._task.preprocess is None else self._task.call("preprocess", raw, *self._statistics)
        if list(ready.shape[1:]) != self.head.shape:
            raise UsageError(f"an example has shape {list(ready.shape[1:])}", allowed=str(self.head.shape))
        with torch.no_grad():
            found = torch.stack([self._predicted(module, ready.float()) for module in self._modules]).mean(dim=0)
        return np.asarray(found.numpy(), dtype=np.float32)

    def _predicted(self, module: nn.Module, ready: Tensor) -> Tensor:
        classes = None if self.head.classes is None else len(self.head.classes)
        targets = torch.empty((len(ready), *self.head.target))
        return contract.predictions(self._task, module(ready).float(), targets, classes)

    def _module(self, file: Path, asked: Params) -> nn.Module:
        module = contract.build(self._task, tuple(self.head.shape), self.head.outputs, asked.model).float()
        module.load_state_dict(safetensors.torch.load(file.read_bytes()))
        return module.eval()


def own_task(source: Path, asked: Params) -> Task:
    """The task's learning.py under `source` and nobody else's of the same name, before or after."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "tasks"}
    paths = list(sys.path)
    try:
        task = contract.load(asked.task.name, source, asked.model)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "tasks"]:
            del sys.modules[name]
        sys.modules.update(before)
        sys.path[:] = paths
    if task.fit is not None:
        raise UsageError(f"task {asked.task.name} trains by a loop of its own", allowed="tasks with a model()")
    return task
