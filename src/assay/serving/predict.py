"""An accepted model, ready to predict: `Predictor(folder).predict(inputs)`.

This file is both a module of the library and, copied as it is, the `predict.py` of every exported folder.
It needs torch, NumPy and safetensors, and what the task itself imports: Pillow for images, pyarrow and pandas for
tables. As a program: `python predict.py INPUTS PREDICTIONS.npy`; raw_examples.py says what INPUTS may be.

The model's own code lies in `source/`. It is imported apart from modules of the same name that the process
has, so that several models, and the project that made them, live side by side. Its limits: code that reads
files which no import reaches, and objects of its classes that somebody pickles. A fitted transformer is a pickle: like
the code in `source/` it runs when the folder is opened.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pickle
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from assay.serving import raw_examples

SCHEMA = 3
#: those that are read; 2 is of arrays alone
READABLE = (2, SCHEMA)
MODEL = "model.json"
SOURCE = "source"
WEIGHTS = "weights"
STATISTICS = "preprocessing.safetensors"
TRANSFORMER = "transformer.pickle"
#: what helps where a folder is not as it was exported
HINT = "next: export the strategy again"
#: examples in one forward pass, as in training's own predictions
BATCH = 1024
#: examples that are collated into one
COLLATED = 256

_importing = threading.RLock()


class BrokenError(ValueError):
    """A folder that is not what was exported."""


def digest(path: Path) -> str:
    """Hash of a file's content, in hex."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def seal(info: dict[str, Any]) -> str:
    """Hash of what model.json says, its own seal left out: classes, score and commit belong to these weights."""
    plain = {name: value for name, value in info.items() if name != "seal"}
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()


def tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of weights. Raises BrokenError where it is damaged."""
    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise BrokenError(f"{path} is damaged ({error}); {HINT}") from error


class Sources:
    """Modules below one folder, kept apart from those of the same name that the process has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tops = {path.stem for path in folder.iterdir() if path.name != "__pycache__"}
        self.own: dict[str, ModuleType] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """While the block runs these modules are the ones that an import finds, late imports included."""
        with _importing:
            others = self._take()
            sys.modules.update(self.own)
            sys.path.insert(0, str(self.folder))
            wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
            importlib.invalidate_caches()
            try:
                yield
            finally:
                sys.dont_write_bytecode = wrote
                sys.path.remove(str(self.folder))
                self.own = self._take()
                sys.modules.update(others)

    def _take(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] in self.tops]
        return {name: sys.modules.pop(name) for name in names}


class Predictor:
    """Accepted replicates of one strategy.

    `strategy`, `commit` and `classes` (names in the order of the probabilities; None for regression) say
    what it is, `replicates` which trainings: one, or all of an ensemble. `info` is all of model.json.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        self.folder = Path(folder).resolve()
        self.info = _info(self.folder)
        self.device = torch.device(device)
        self.strategy: str = self.info["strategy"]
        self.commit: str = self.info["commit"]
        self.classes: list[str] | None = self.info["classes"]
        self.replicates: list[int] = self.info["replicates"]
        self._dtype: torch.dtype = getattr(torch, self.info["dtype"])
        self._loop = "loop" in self.info  # parameters of a fit() whose load() makes the model
        self.sources = Sources(self.folder / SOURCE)
        with self.sources.active():
            self.task = importlib.import_module(self.info["module"])
            self._transformer = _opened(self.folder / TRANSFORMER, self.info)
            make = self._loaded if self._loop else self._module
            self._models = [make(number) for number in self.replicates]
        statistics = self.folder / STATISTICS
        self._statistics = (tensors(statistics),) if statistics.is_file() else ()

    def predict(self, inputs: Any) -> NDArray[np.float32]:
        """Predictions (N, …) for N raw examples: class probabilities (N, K), or values.

        `inputs` are as `prepare()` of the task makes them: an array (N, …), a DataFrame, Arrow table or list of dicts,
        or a list of texts, of paths or bytes of files, or of arrays. An ensemble gives the mean of its replicates.
        Raises ValueError when they are others than the examples that the model was trained on.
        """
        made = self.each(inputs)
        mean: NDArray[np.float32] = made.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean if len(made) > 1 else made[0]

    def each(self, inputs: Any) -> NDArray[np.float32]:
        """(R, N, …) predictions of every replicate by itself."""
        outputs = self.outputs(inputs)
        with self.sources.active(), torch.no_grad():
            made = [self._predictions(model, one) for model, one in zip(self._models, outputs, strict=True)]
        return np.stack([one.detach().cpu().numpy().astype(np.float32) for one in made])

    def outputs(self, inputs: Any) -> list[Tensor]:
        """What each replicate's model returns for N raw examples, (N, …) on the host."""
        given = raw_examples.checked(inputs, self.info)
        with self.sources.active(), torch.random.fork_rng(devices=[]), torch.no_grad():
            ready = self._ready(given)
            return [self._outputs(model, ready) for model in self._models]

    def _ready(self, given: Any) -> Any:
        """Inputs (N, …) of the model; a list of what collate() makes batches of; or as they are, where nothing makes
        Tensors of them and a function of the loop takes them."""
        decode = getattr(self.task, "decode", None)
        if self._transformer is not None:
            found: Any = self._transformed(given)
        elif callable(decode):
            found = [decode(row, **self.info.get("decode", {})) for row in raw_examples.rows(given)]
        elif self.info.get("form", "") == raw_examples.RAGGED:
            found = [torch.from_numpy(np.array(one)) for one in given]
        elif isinstance(given, np.ndarray):
            found = torch.from_numpy(given)
        else:
            return given.to_pandas() if hasattr(given, "to_pandas") else given
        if callable(getattr(self.task, "collate", None)):
            return list(found)
        return self._preprocessed(found if isinstance(found, Tensor) else _stacked(found))

    def _transformed(self, given: Any) -> Tensor:
        frame = given.to_pandas() if hasattr(given, "to_pandas") else given
        frame = frame.reshape(len(frame), -1) if isinstance(frame, np.ndarray) else frame
        made = self._transformer.transform(frame)
        dense = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
        found = np.ascontiguousarray(dense, dtype=np.float32)
        bad = np.flatnonzero(~np.isfinite(found.reshape(len(found), -1)).all(axis=1))
        if len(bad):
            raise ValueError(f"transform leaves example {bad[0]} with missing values ({len(bad)} such)")
        return torch.from_numpy(found)

    def _preprocessed(self, batch: Any) -> Any:
        """A batch, or all examples, as the model takes them, in the precision of training."""
        preprocess = getattr(self.task, "preprocess", None)
        made = preprocess(batch, *self._statistics) if callable(preprocess) else batch
        return {name: self._cast(one) for name, one in made.items()} if isinstance(made, dict) else self._cast(made)

    def _outputs(self, model: Any, ready: Any) -> Tensor:
        if isinstance(model, nn.Module):
            with self._autocast():
                return torch.cat([self._forward(model, batch).float().cpu() for batch in self._batches(ready)])
        made = model(ready)
        return made.detach().cpu() if isinstance(made, Tensor) else torch.from_numpy(np.array(made))

    def _batches(self, ready: Any) -> Iterator[Any]:
        if isinstance(ready, Tensor):
            yield from torch.split(ready, BATCH)
            return
        for start in range(0, len(ready), COLLATED):
            yield self._preprocessed(self.task.collate(ready[start : start + COLLATED]))

    def _forward(self, model: nn.Module, batch: Any) -> Tensor:
        if not isinstance(batch, dict):
            return _logits(model(batch.to(self.device)))
        moved = {name: one.to(self.device) for name, one in batch.items()}
        if self._loop and _binds(model, moved):  # as models of transformers take them
            return _logits(model(**moved))
        return _logits(model(moved))

    def _predictions(self, model: Any, outputs: Tensor) -> Tensor:
        if not isinstance(model, nn.Module) or (self._loop and self._are_chances(outputs)):
            return outputs
        predict = getattr(self.task, "predict", None)
        if callable(predict):
            made: Tensor = predict(outputs)
            return made
        wanted = (len(outputs), *self.info["target_shape"])
        if self.classes is not None:
            second = (wanted[0], len(self.classes), *wanted[1:])  # where convolutions have the classes
            if len(wanted) > 1 and tuple(outputs.shape) == second != (*wanted, len(self.classes)):
                return outputs.softmax(1).movedim(1, -1)
            return outputs.softmax(-1)
        several = isinstance(self.info["outputs"], dict)  # targets are a table then, and predictions are not
        return outputs if several or outputs.numel() != np.prod(wanted) else outputs.reshape(wanted)

    def _are_chances(self, outputs: Tensor) -> bool:
        """Whether a loop's module gives probabilities already, as when it was measured."""
        classes = 0 if self.classes is None or hasattr(self.task, "predict") else len(self.classes)
        if classes < 2 or outputs.shape[-1] != classes:
            return False
        sums = outputs.double().sum(-1)
        return bool((outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-4))

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.info["autocast"]:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    def _cast(self, tensor: Tensor) -> Tensor:
        """In the precision of training; complex numbers stay complex."""
        if tensor.is_complex():
            return tensor.to(self._dtype.to_complex())
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _loaded(self, number: int) -> Any:
        """What the task's load() makes of kept weights: a module, or a function from inputs to predictions."""
        with torch.random.fork_rng(devices=[]):
            made = self.task.load(self.info["loop"], tensors(self.folder / WEIGHTS / f"{number}.safetensors"))
        return made.to(self.device).eval() if isinstance(made, nn.Module) else made

    def _module(self, number: int) -> nn.Module:
        shape = self.info["shape"]
        given = {name: tuple(one) for name, one in shape.items()} if isinstance(shape, dict) else tuple(shape)
        with torch.random.fork_rng(devices=[]):
            made: nn.Module = self.task.model(given, self.info["outputs"], **self.info["parameters"])
        made = made.to("cpu")
        made._apply(self._cast)  # type: ignore[no-untyped-call]
        weights = tensors(self.folder / WEIGHTS / f"{number}.safetensors")
        missing, unexpected = made.load_state_dict(weights, strict=False)
        shared = {tensor.data_ptr() for name, tensor in made.state_dict().items() if name in weights}
        lacking = [name for name in missing if made.state_dict()[name].data_ptr() not in shared]  # tied ones are there
        if lacking or unexpected:
            raise BrokenError(f"weights of replicate {number} and model() differ in {[*lacking, *unexpected][0]}")
        return made.to(self.device).eval()


def _opened(path: Path, info: dict[str, Any]) -> Any:
    """The fitted transformer, where the task has one."""
    if not path.is_file():
        return None
    try:
        return pickle.loads(path.read_bytes())
    except Exception as error:  # of another version of the package that wrote it
        wrote = ", ".join(f"{name} {version}" for name, version in info.get("transformer", {}).items())
        raise BrokenError(f"{path} cannot be opened ({error!s:.200}); it was written with {wrote}") from error


def _stacked(examples: Sequence[Any]) -> Tensor:
    try:
        return torch.stack(list(examples))
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"decode() gives examples that do not go together: {error!s:.200}") from error


def _binds(model: nn.Module, named: dict[str, Tensor]) -> bool:
    try:
        inspect.signature(model.forward).bind(**named)
    except (TypeError, ValueError):
        return False
    return True


def _logits(outputs: Any) -> Tensor:
    found: Tensor = getattr(outputs, "logits", outputs)  # as models of transformers have them
    return found


def _info(folder: Path) -> dict[str, Any]:
    """What model.json says, itself and every file that it lists checked. Raises BrokenError naming what is wrong."""
    path = folder / MODEL
    try:
        info = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenError(f"{folder} holds no exported model: {error}") from error
    if not isinstance(info, dict) or info.get("schema") not in READABLE:
        schema = info.get("schema") if isinstance(info, dict) else None
        raise BrokenError(f"{path} has schema {schema!r:.40}; allowed: {', '.join(map(str, READABLE))}; {HINT}")
    if info.get("seal") != seal(info):
        raise BrokenError(f"{path} was changed; {HINT}")
    for name, expected in info["files"].items():
        if not (folder / name).is_file() or digest(folder / name) != expected:
            raise BrokenError(f"{folder / name} is missing or was changed; {HINT}")
    for found in (folder / SOURCE).rglob("*"):
        if found.is_file() and found.relative_to(folder).as_posix() not in info["files"]:
            raise BrokenError(f"{found} was not exported; next: remove it")
    return info


def main(arguments: list[str]) -> int:
    """Predict the examples in one place and write the predictions into an .npy file."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python predict.py INPUTS PREDICTIONS.npy\n")
        return 2
    try:
        predictor = Predictor(Path(__file__).parent)
        made = predictor.predict(raw_examples.read(Path(arguments[0]), predictor.info))
        np.save(arguments[1], made, allow_pickle=False)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"predict.py: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
