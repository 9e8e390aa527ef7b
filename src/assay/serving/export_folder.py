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
import torch
from numpy.typing import NDArray

from assay.core import params_yaml, variation
from assay.core.errors import AssayError, UsageError
from assay.core.json_encoding import json_form
from assay.core.params_yaml import SPAN, Params
from assay.core.paths import IN_PROJECT, PARAMS, ProjectPaths
from assay.data import storage
from assay.data.storage import Examples
from assay.replicates import safetensors_check
from assay.runtime import dvc_yaml, example_ids, files, import_closure, npy_files, task_source
from assay.runtime.source_roots import LIBRARY_TREE, project
from assay.serving import fitted_inputs, predict, raw_examples
from assay.serving.predict import Predictor, Sources
from assay.tags.strategy_events import Accepted
from assay.training import batches, custom_fit, device, target_tensors, task_interface

#: largest difference between a prediction made again and the stored one, relative to the largest stored
#: one. Float32 on another device differs by rounding; half precision by what it rounds away.
TOLERANCE = {"float64": 1e-5, "float32": 1e-5, "tf32": 5e-3, "bfloat16": 5e-2}

#: how predict.py imports its other half: as a module of the library, and from its own folder, however it is started
_IN_LIBRARY = "from assay.serving import raw_examples"
_IN_FOLDER = """import importlib.util

_spec = importlib.util.spec_from_file_location("raw_examples", Path(__file__).with_name("raw_examples.py"))
raw_examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(raw_examples)"""


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

    @property
    def has_loop(self) -> bool:
        """Whether the task trains with fit(), so that load() makes its model."""
        return "fit" in task_source.read(self.tree, self.params.task.name, "learning").names

    def numbers(self) -> list[int]:
        """Replicates that did not diverge. Raises UsageError when none is left."""
        found = sorted(int(path.stem) for path in self.fetched.models("candidate").glob("*.safetensors"))
        if not found:
            raise UsageError(f"{self.strategy} has no weights: its task keeps none, or every replicate diverged")
        return found


def needed(strategy: str, tree: Path) -> list[str]:
    """Outputs of the strategy that packing reads: weights, stored predictions, validation examples to prove it
    on; the training part only where preprocessing follows from it. Raises UsageError for a loop without load()."""
    asked = params_yaml.load(dvc_yaml.parameters(tree), f"params.yaml of {strategy}")
    if variation.SPLIT in asked.vary:
        raise UsageError(
            f"{strategy} was accepted on splits drawn anew: its replicates trained on different examples, and no "
            "part is left that proves a model",
            allowed="a strategy that was accepted without split in vary",
            hint="remove split from vary in params.yaml, dvc exp run, and accept that",
        )
    task = asked.task.name
    members = task_source.read(tree, task, "learning").names
    given = params_yaml.as_given(asked) if "fit" in members else asked.model
    if json_form(given) != given:
        where = PARAMS if "fit" in members else f"model: in its {PARAMS}"
        raise UsageError(
            f"{strategy}: {where} has a date, or a key that is no text, which model.json cannot hold",
            hint="write it as text, read it in model(), and accept that",
        )
    if "fit" in members and "load" not in members:
        raise UsageError(
            f"{strategy}: task {task!r} trains with a loop of its own, and has no load() that makes its model again",
            allowed="load(params, weights) beside fit(params, data, seed, log)",
            hint=f"write load() and accept that, or git checkout {strategy} and call the task's own code",
        )
    layout = ProjectPaths(Path())
    paths = [layout.models("candidate"), layout.predictions("candidate"), layout.part("validation")]
    if fitted_inputs.needs_training_part(members):
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
    _copy_program(folder)
    evaluated, _ = storage.read(kept.fetched.part("validation"), ["ids", "inputs", "targets"])
    _describe(kept, folder, numbers, evaluated, _fit(kept, evaluated, folder))
    return _prove(kept, folder, evaluated)


def _copy_program(folder: Path) -> None:
    """predict.py and what it imports of its folder."""
    source = Path(predict.__file__).read_text(encoding="utf-8")
    assert _IN_LIBRARY in source
    files.write_text(folder / "predict.py", source.replace(_IN_LIBRARY, _IN_FOLDER))
    shutil.copyfile(Path(raw_examples.__file__), folder / "raw_examples.py")


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


def _fit(kept: StoredStrategy, evaluated: Examples, folder: Path) -> dict[str, Any]:
    """Write what preprocessing needs; what model.json says of inputs."""
    params, sources = kept.params, Sources(folder / predict.SOURCE)
    members = task_source.read(kept.tree, params.task.name, "learning").names
    train = None
    if fitted_inputs.needs_training_part(members):
        train = fitted_inputs.training_examples(kept.fetched.part("train"), evaluated, params)
    with _said(kept), sources.active(), torch.no_grad():
        module = task_source.load(kept.tree, params.task.name, "learning")
        file = task_source.where(kept.tree, params.task.name, "learning")
        task = task_interface.of_module(module, params.task.name, file)
        if task.fit is not None and custom_fit.is_older_form(task):
            raise task.refuse("fit() takes no log, and what it returns gets arrays", "fit(params, data, seed, log)")
        found = fitted_inputs.fit(task, train, evaluated, params)
        fitted_inputs.write(found, folder, task)
    return fitted_inputs.described(found, evaluated)


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


def _describe(
    kept: StoredStrategy, folder: Path, numbers: Sequence[int], evaluated: Examples, inputs: dict[str, Any]
) -> None:
    settings = kept.params
    loop = {"loop": params_yaml.as_given(settings)} if kept.has_loop else {}
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
        "outputs": batches.outputs(evaluated),
        **inputs,
        "target_shape": list(evaluated.targets.shape[1:]),
        "dtype": str(device.DTYPES[settings.train.precision]).removeprefix("torch."),
        "autocast": settings.train.precision == "bfloat16" and not loop,
        **loop,
        "files": {path.relative_to(folder).as_posix(): predict.digest(path) for path in listed},
    }
    sealed = {**info, "seal": predict.seal(info)}
    files.write_text(folder / predict.MODEL, json.dumps(sealed, indent=2) + "\n")


def _prove(kept: StoredStrategy, folder: Path, evaluated: Examples) -> float:
    """Predict the validation part again, and hold it against what was stored when the strategy was measured."""
    with _said(kept):
        predictor = Predictor(folder)
        made = _measured(predictor, evaluated, kept.params)
    stored = npy_files.read(kept.fetched.predictions("candidate") / "predictions.npy")
    ids = example_ids.read(kept.fetched.predictions("candidate") / "ids.npy")
    if not np.array_equal(ids, evaluated.ids):
        raise UsageError(f"the stored predictions of {kept.strategy} are for other examples than its validation part")
    rows = [number % SPAN for number in predictor.replicates]  # draws begin at multiples of it
    expected = stored[rows]
    if made.shape != expected.shape:
        raise UsageError(
            f"{kept.strategy} now predicts {made.shape[1:]}, and {expected.shape[1:]} when it was measured"
        )
    difference = float(np.abs(made.astype(np.float64) - expected).max(initial=0.0))
    limit = TOLERANCE[kept.params.train.precision] * max(1.0, float(np.abs(expected).max(initial=0.0)))
    if not difference <= limit:
        raise UsageError(
            f"{kept.strategy} now predicts other numbers than when it was measured: by up to {difference:.3g}",
            allowed=f"{limit:.3g}",
            hint="look for files that its model reads and no import reaches, or for another version of torch",
        )
    return difference


def _measured(predictor: Predictor, evaluated: Examples, params: Params) -> NDArray[np.float32]:
    """(R, N, …) what training keeps: predictions, or scores where the task has score()."""
    inputs = fitted_inputs.raw(evaluated)
    if not callable(getattr(predictor.task, "score", None)):
        return predictor.each(inputs)
    outputs = predictor.outputs(inputs)
    with predictor.sources.active(), torch.no_grad():
        plain = task_interface.of_module(predictor.task, params.task.name, predictor.info["module"])
        task = target_tensors.with_parts(plain, evaluated.several)
        targets = batches.part_targets(task, evaluated, device.DTYPES[params.train.precision])
        return np.stack([task.call("score", one.float(), targets).float().numpy() for one in outputs])
