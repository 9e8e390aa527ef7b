"""What an exported model needs before its first layer: statistics and transformer of the examples that trained, the
shape of an input, the form of a raw example.

Covers: fitting them again as training did, in the strategy's own code, and writing them. Not covered: applying them
(`serving.predict`), and the proof that they are the same (`serving.export_folder`).
"""

from __future__ import annotations

import importlib.metadata
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from msgspec import UNSET

from assay.core.params_yaml import Params
from assay.core.short_repr import excerpt
from assay.data import holdout_split, storage
from assay.data.storage import Examples
from assay.replicates.train_and_eval_examples import FOR_HOLDOUT, NEEDED, sample, without
from assay.runtime import files
from assay.serving import predict
from assay.training import device, example_inputs
from assay.training.batches import Tensors
from assay.training.model_inputs import CollatedInputs, Preprocessing
from assay.training.task_interface import Task

#: members that follow from the examples that trained, or whose inputs' shape does
_FITTED = ("statistics", "transform", "collate")
#: package whose versions read each other's objects only now and then
_SKLEARN = "scikit-learn"


@dataclass(frozen=True)
class FittedInputs:
    """What training found out about inputs; None and () where the task has nothing of the kind."""

    transformer: Any
    statistics: tuple[dict[str, torch.Tensor], ...]
    shape: Any  # of one input of the model, as model() got it


def raw(part: Examples) -> Any:
    """Inputs of a part as `Predictor.predict` takes them."""
    stored = storage.arrow(part.inputs)
    if stored is None:
        return part.inputs
    return stored.table if stored.form == "table" else list(stored)


def needs_training_part(members: frozenset[str]) -> bool:
    """Whether the examples that trained are asked for, by the names that the task defines."""
    return bool(members & set(_FITTED))


def training_examples(folder: Path, evaluated: Examples, params: Params) -> Examples:
    """The examples in `folder` that trained, as `training.train_and_predict` and `training.loop_data` choose them."""
    share = params.train.holdout
    given, _ = storage.read(folder, NEEDED if share is UNSET else FOR_HOLDOUT)
    train, _ = without(given, evaluated)
    chosen = sample(train, params.train.sample)
    return chosen if share is UNSET else chosen.take(~holdout_split.held_out(chosen, share, params.split))


def fit(task: Task, train: Examples | None, evaluated: Examples, params: Params) -> FittedInputs:
    """Fit again what follows from `train`, which is None where nothing does. Raises UsageError, or what the task's
    own code raises."""
    if task.fit is not None and not _makes_tensors(task, evaluated):
        return FittedInputs(None, (), None)  # its function takes raw examples
    part = evaluated.take(range_of(evaluated, 2)) if train is None else train
    transformer = None if task.transform is None else example_inputs.fitted_transformer(task, part)
    made = replace(task, transform=_Fitted(transformer)) if transformer is not None else task
    (raw,) = example_inputs.prepared(made, [part], None)
    statistics = () if task.statistics is None else (task.call("statistics", raw),)
    ready = Preprocessing(task, statistics, device.DTYPES[params.train.precision])
    inputs = CollatedInputs(raw, ready) if task.collate is not None else ready(raw[:2])
    return FittedInputs(transformer, statistics, Tensors(inputs, torch.zeros(2)).shape)


def _makes_tensors(task: Task, part: Examples) -> bool:
    """Whether a loop gets Tensors; as `training.loop_data` has it."""
    stored = storage.arrow(part.inputs)
    return stored is None or stored.form == "ragged" or task.transform is not None or task.decode is not None


def range_of(part: Examples, most: int) -> Any:
    """Rows of the first `most` examples."""
    return slice(0, min(most, len(part)))


class _Fitted:
    """A transformer that was fitted before, and stays so."""

    def __init__(self, transformer: Any) -> None:
        self.transform = transformer.transform

    def fit(self, rows: Any) -> None:
        """Nothing: it knows the training part."""


def write(found: FittedInputs, folder: Path, task: Task) -> None:
    """Write what was fitted into the model's folder. Raises UsageError for a transformer that no file can hold."""
    for statistics in found.statistics:
        whole = {name: tensor.contiguous() for name, tensor in statistics.items()}
        files.write_bytes(folder / predict.STATISTICS, safetensors.torch.save(whole))
    if found.transformer is None:
        return
    try:
        content = pickle.dumps(found.transformer)
    except Exception as error:  # pickle raises what it likes
        raise task.refuse(
            f"what transform() returns cannot be kept ({excerpt(str(error))})",
            "functions and classes with a name at the top of a module, no lambda",
        ) from error
    files.write_bytes(folder / predict.TRANSFORMER, content)


def described(found: FittedInputs, evaluated: Examples) -> dict[str, Any]:
    """What model.json says of inputs."""
    said: dict[str, Any] = {"shape": _plain(found.shape)}
    stored = storage.arrow(evaluated.inputs)
    if stored is None:
        said |= {"input_shape": list(evaluated.inputs.shape[1:]), "input_dtype": evaluated.inputs.dtype.name}
    else:
        said["form"] = stored.form
        if stored.form == "table":
            said["columns"] = {field.name: str(field.type) for field in stored.table.schema}
    if evaluated.decode is not None:
        said["decode"] = evaluated.decode
    if found.transformer is not None:
        said["transformer"] = _versions(type(found.transformer).__module__.partition(".")[0])
    return said


def _plain(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: list(one) for name, one in shape.items()}
    return None if shape is None else list(shape)


def _versions(package: str) -> dict[str, str]:
    """Versions of what a pickled transformer is made of."""
    named: Sequence[str] = [_SKLEARN] if package == "sklearn" else []
    return {"numpy": importlib.metadata.version("numpy"), **{name: importlib.metadata.version(name) for name in named}}
