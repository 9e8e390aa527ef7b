"""An accepted model as a folder of its own: weights, source, preprocessing, class names, predict.py.

Covers: what goes into the folder, and the proof that it predicts what its strategy predicted when it was
measured. Not covered: finding and fetching the strategy (`commands.export`), predicting (`serving.predict`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from assay.core import params_yaml
from assay.core.errors import AssayError, UsageError
from assay.core.json_encoding import json_form
from assay.core.params_yaml import SPAN, Params
from assay.core.paths import IN_PROJECT, ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.replicates import safetensors_check
from assay.replicates.train_and_eval_examples import sample, without
from assay.runtime import dvc_yaml, files, import_closure, npy_files, task_source
from assay.runtime.source_roots import LIBRARY_TREE, project
from assay.serving import predict
from assay.serving.predict import Predictor, Sources
from assay.tags.strategy_events import Accepted
from assay.training import batches, device, task_interface

#: largest difference between a prediction made again and the stored one, relative to the largest stored
#: one. Float32 on another device differs by rounding; half precision by what it rounds away.
TOLERANCE = {"float64": 1e-5, "float32": 1e-5, "tf32": 5e-3, "bfloat16": 5e-2}


@dataclass(frozen=True)
class StoredStrategy:
    """What Git and DVC keep of a strategy: its evidence, its files in `tree`, its outputs under their own paths in
    `fetched`."""

    strategy: str
    commit: str
    accepted: Accepted
    tree: Path
    fetched: ProjectPaths

    @property
    def params(self) -> Params:
        where = f"params.yaml of {self.strategy}"
        return params_yaml.resolved(dvc_yaml.parameters(self.tree), where=where)

    def numbers(self) -> list[int]:
        """Replicates that did not diverge. Raises UsageError when none is left."""
        found = sorted(int(path.stem) for path in self.fetched.models("candidate").glob("*.safetensors"))
        if not found:
            raise UsageError(f"{self.strategy} has no weights: its task keeps none, or every replicate diverged")
        return found


def needed(strategy: str, tree: Path) -> list[str]:
    """Outputs of the strategy that packing reads: weights, stored predictions, validation examples to prove it
    on; the training part only where preprocessing follows from it. Raises UsageError for a loop of its own."""
    asked = params_yaml.load(dvc_yaml.parameters(tree), f"params.yaml of {strategy}")
    task = asked.task.name
    if json_form(asked.model) != asked.model:
        raise UsageError(
            f"{strategy}: model: in its params.yaml has a date, or a key that is no text, which model.json cannot hold",
            hint="write it as text, read it in model(), and accept that",
        )
    members = task_source.read(tree, task, "learning").names
    if "fit" in members:
        raise UsageError(
            f"{strategy}: task {task!r} trains with a loop of its own, fit(), so its model cannot be rebuilt",
            allowed="tasks with model() and loss()",
            hint=f"git checkout {strategy}, and call the task's own code",
        )
    unknown = sorted({"transform", "decode", "collate"} & members)
    if unknown:
        raise UsageError(
            f"{strategy}: its task has {unknown[0]}(), and an exported model takes arrays alone",
            allowed="tasks whose prepare() returns arrays",
            hint=f"git checkout {strategy}, and call the task's own code",
        )
    layout = ProjectPaths(Path())
    paths = [layout.models("candidate"), layout.predictions("candidate"), layout.part("validation")]
    if "statistics" in members:
        paths.append(layout.part("train"))
    return [path.as_posix() for path in paths]


def pack(kept: StoredStrategy, folder: Path, ensemble: bool) -> float:
    """Write the model into `folder`, which must not exist yet; the largest difference to the stored predictions.

    Raises UsageError when it does not reproduce them within TOLERANCE.
    """
    numbers = kept.numbers() if ensemble else kept.numbers()[:1]
    (folder / predict.WEIGHTS).mkdir(parents=True)
    for number in numbers:
        path = kept.fetched.models("candidate") / f"{number}.safetensors"
        if damage := safetensors_check.trouble(files.read_bytes(path)):
            raise UsageError(
                f"{IN_PROJECT.models('candidate')}/{path.name} of {kept.strategy} is damaged: {damage}", hint="dvc pull"
            )
        shutil.copyfile(path, folder / predict.WEIGHTS / path.name)
    _copy_source(kept, folder / predict.SOURCE)
    shutil.copyfile(Path(predict.__file__), folder / "predict.py")
    evaluated, _ = storage.read(kept.fetched.part("validation"), ["ids", "inputs", "targets"])
    shape = _preprocessing(kept, evaluated, folder)
    _describe(kept, folder, numbers, evaluated, shape)
    return _prove(kept, folder, evaluated)


def _copy_source(kept: StoredStrategy, folder: Path) -> None:
    """The import closure of the task's learning.py, what it imports of Assay included.

    Each folder becomes a package of its own: one without an __init__.py would be completed by any folder of that name
    that the importing process knows.
    """
    entry = task_source.path(kept.tree, kept.params.task.name, "learning")
    own = import_closure.import_closure(kept.tree, [entry])
    names = {name for file in own for name in import_closure.imported_names(kept.tree, file)}
    ours = [file for name in sorted(names) if (file := LIBRARY_TREE.find(name))]
    for tree, found in ((project(kept.tree), own), (LIBRARY_TREE, import_closure.import_closure(LIBRARY_TREE, ours))):
        for file in found:
            target = folder.joinpath(*tree.module(file).split("."))
            target = target / "__init__.py" if file.name == "__init__.py" else target.with_suffix(".py")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree.root / file, target)
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        (inner / "__init__.py").touch()


def _preprocessing(kept: StoredStrategy, evaluated: Examples, folder: Path) -> tuple[int, ...]:
    """Write the statistics of the training part, where the task has any; the shape of a preprocessed example."""
    name, sources = kept.params.task.name, Sources(folder / predict.SOURCE)
    with _said(kept), sources.active(), torch.no_grad():
        task = task_source.load(kept.tree, name, "learning")
        found: tuple[dict[str, torch.Tensor], ...] = ()
        if callable(getattr(task, "statistics", None)):
            found = (task.statistics(_raw(_training(kept, evaluated).inputs)),)
            whole = {name: tensor.contiguous() for name, tensor in found[0].items()}
            files.write_bytes(folder / predict.STATISTICS, safetensors.torch.save(whole))
        ready = _raw(evaluated.inputs[:2])
        if callable(getattr(task, "preprocess", None)):
            ready = task.preprocess(ready, *found)
        return tuple(ready.shape[1:])


@contextmanager
def _said(kept: StoredStrategy) -> Iterator[None]:
    """Around the strategy's own code in its new place: what it raises becomes one sentence."""
    try:
        yield
    except AssayError:
        raise
    except Exception as error:
        raise UsageError(
            f"the code of {kept.strategy} fails outside of its project with {task_interface.brief(error)}",
            hint="look for files that it reads and no import reaches",
        ) from error


def _training(kept: StoredStrategy, evaluated: Examples) -> Examples:
    """The examples that trained, as `training.train_and_predict` chooses them."""
    given, _ = storage.read(kept.fetched.part("train"), ["ids", "inputs", "targets"])
    train, _ = without(given, evaluated)
    return sample(train, kept.params.train.sample)


def _raw(array: NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _describe(
    kept: StoredStrategy, folder: Path, numbers: Sequence[int], evaluated: Examples, shape: tuple[int, ...]
) -> None:
    settings = kept.params
    listed = sorted(path for path in folder.rglob("*") if path.is_file())
    info: dict[str, Any] = {
        "schema": predict.SCHEMA,
        "strategy": kept.strategy,
        "commit": kept.commit,
        "metric_version": kept.accepted.metric_version,
        "test": None if kept.accepted.test is None else kept.accepted.test.mean,  # mean score on the sealed part
        "replicates": list(numbers),
        "classes": None if evaluated.classes is None else list(evaluated.classes),
        "module": task_source.module(kept.tree, settings.task.name, "learning"),
        "parameters": settings.model,
        "shape": list(shape),
        "outputs": batches.outputs(evaluated),
        "input_shape": list(evaluated.inputs.shape[1:]),
        "input_dtype": evaluated.inputs.dtype.name,
        "target_shape": list(evaluated.targets.shape[1:]),
        "dtype": str(device.DTYPES[settings.train.precision]).removeprefix("torch."),
        "autocast": settings.train.precision == "bfloat16",
        "files": {path.relative_to(folder).as_posix(): predict.digest(path) for path in listed},
    }
    sealed = {**info, "seal": predict.seal(info)}
    files.write_text(folder / predict.MODEL, json.dumps(sealed, indent=2) + "\n")


def _prove(kept: StoredStrategy, folder: Path, evaluated: Examples) -> float:
    """Predict the validation part again, and hold it against what was stored when the strategy was measured."""
    with _said(kept):
        predictor = Predictor(folder)
        made = predictor.each(evaluated.inputs)
    stored = npy_files.read(kept.fetched.predictions("candidate") / "predictions.npy")
    ids = npy_files.read(kept.fetched.predictions("candidate") / "ids.npy")
    if not np.array_equal(ids, evaluated.ids):
        raise UsageError(f"the stored predictions of {kept.strategy} are for other examples than its validation part")
    rows = [number % SPAN for number in predictor.replicates]  # draws begin at multiples of it
    expected = stored[rows]
    difference = float(np.abs(made.astype(np.float64) - expected).max(initial=0.0))
    limit = TOLERANCE[kept.params.train.precision] * max(1.0, float(np.abs(expected).max(initial=0.0)))
    if not difference <= limit:
        raise UsageError(
            f"{kept.strategy} now predicts other numbers than when it was measured: by up to {difference:.3g}",
            allowed=f"{limit:.3g}",
            hint="look for files that its model reads and no import reaches, or for another version of torch",
        )
    return difference
