"""An accepted model, ready to predict: `Predictor(folder).predict(inputs)`.

This file is both a module of the library and, copied as it is, the `predict.py` of every exported folder.
It needs nothing but torch, NumPy and safetensors. As a program: `python predict.py INPUTS.npy PREDICTIONS.npy`.

The model's own code lies in `source/`. It is imported apart from modules of the same name that the process
has, so that several models, and the project that made them, live side by side. Its limits: code that reads
files which no import reaches, and objects of its classes that somebody pickles.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tokenize import TokenError
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SCHEMA = 2
MODEL = "model.json"
SOURCE = "source"
WEIGHTS = "weights"
STATISTICS = "preprocessing.safetensors"
#: how an .npy file begins
MAGIC = b"\x93NUMPY"
#: what helps where a folder is not as it was exported
HINT = "next: export the strategy again"
#: examples in one forward pass, as in training's own predictions
BATCH = 1024

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


def array(path: str) -> NDArray[Any]:
    """The examples in an .npy file. Raises ValueError where it is none, or its header tells of what is not there."""
    with Path(path).open("rb") as stream:
        known = stream.read(len(MAGIC)) == MAGIC
    if not known:
        raise ValueError(f"{path} holds no array; allowed: one .npy file as numpy.save writes it")
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory for a shape that no file holds
    except (ValueError, EOFError, OverflowError, SyntaxError, TokenError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} holds no array: {error!s:.200}") from error
    if found.ndim == 0:
        raise ValueError(f"{path} holds no array of examples but one number")
    return np.array(found)


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
        self._sources = Sources(self.folder / SOURCE)
        with self._sources.active():
            self._task = importlib.import_module(self.info["module"])
            self._modules = [self._module(number) for number in self.replicates]
        statistics = self.folder / STATISTICS
        self._statistics = (tensors(statistics),) if statistics.is_file() else ()

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Predictions (N, …) for N raw examples (N, …): class probabilities (N, K), or values.

        `inputs` are as `prepare()` of the task makes them; an ensemble gives the mean of its replicates.
        Raises ValueError when they have another shape than the examples that the model was trained on.
        """
        made = self.each(inputs)
        mean: NDArray[np.float32] = made.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean if len(made) > 1 else made[0]

    def each(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """(R, N, …) predictions of every replicate by itself."""
        given = self._checked(inputs)
        with self._sources.active(), torch.random.fork_rng(devices=[]), torch.no_grad():
            ready = self._preprocessed(given)
            return np.stack([self._one(module, ready) for module in self._modules])

    def _checked(self, inputs: NDArray[Any]) -> NDArray[Any]:
        given, shape, kind = np.asarray(inputs), tuple(self.info["input_shape"]), np.dtype(self.info["input_dtype"])
        if given.shape[1:] != shape or given.ndim == 0:
            raise ValueError(f"inputs have shape {given.shape}; allowed: (N, {', '.join(map(str, shape))})")
        if given.dtype.kind not in "biuf" or not np.can_cast(given.dtype, kind, "same_kind"):
            raise ValueError(f"inputs have type {given.dtype}; allowed: {kind}, as prepare() of the task makes them")
        return np.ascontiguousarray(given.astype(kind, copy=False))

    def _preprocessed(self, given: NDArray[Any]) -> Tensor:
        preprocess = getattr(self._task, "preprocess", None)
        ready = torch.from_numpy(given)
        if callable(preprocess):
            ready = preprocess(ready, *self._statistics)
        return self._cast(ready)

    def _one(self, module: nn.Module, ready: Tensor) -> NDArray[np.float32]:
        parts = []
        for part in torch.split(ready, BATCH):
            with self._autocast():
                parts.append(module(part.to(self.device)).float().cpu())
        outputs = torch.cat(parts)
        made = self._predictions(outputs)
        return made.detach().numpy().astype(np.float32)

    def _predictions(self, outputs: Tensor) -> Tensor:
        predict = getattr(self._task, "predict", None)
        if callable(predict):
            made: Tensor = predict(outputs)
            return made
        wanted = (len(outputs), *self.info["target_shape"])
        if self.classes is not None:
            second = (wanted[0], len(self.classes), *wanted[1:])  # where convolutions have the classes
            if len(wanted) > 1 and tuple(outputs.shape) == second != (*wanted, len(self.classes)):
                return outputs.softmax(1).movedim(1, -1)
            return outputs.softmax(-1)
        return outputs.reshape(wanted) if outputs.numel() == np.prod(wanted) else outputs

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.info["autocast"]:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    def _cast(self, tensor: Tensor) -> Tensor:
        """In the precision of training; complex numbers stay complex."""
        if tensor.is_complex():
            return tensor.to(self._dtype.to_complex())
        return tensor.to(self._dtype) if tensor.is_floating_point() else tensor

    def _module(self, number: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            made: nn.Module = self._task.model(
                tuple(self.info["shape"]), self.info["outputs"], **self.info["parameters"]
            )
        made = made.to("cpu")
        made._apply(self._cast)  # type: ignore[no-untyped-call]
        weights = tensors(self.folder / WEIGHTS / f"{number}.safetensors")
        missing, unexpected = made.load_state_dict(weights, strict=False)
        shared = {tensor.data_ptr() for name, tensor in made.state_dict().items() if name in weights}
        lacking = [name for name in missing if made.state_dict()[name].data_ptr() not in shared]  # tied ones are there
        if lacking or unexpected:
            raise BrokenError(f"weights of replicate {number} and model() differ in {[*lacking, *unexpected][0]}")
        return made.to(self.device).eval()


def _info(folder: Path) -> dict[str, Any]:
    """What model.json says, itself and every file that it lists checked. Raises BrokenError naming what is wrong."""
    path = folder / MODEL
    try:
        info = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenError(f"{folder} holds no exported model: {error}") from error
    if not isinstance(info, dict) or info.get("schema") != SCHEMA:
        schema = info.get("schema") if isinstance(info, dict) else None
        raise BrokenError(f"{path} has schema {schema!r:.40}; allowed: {SCHEMA}; {HINT}")
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
    """Predict the examples in one .npy file and write the predictions into another."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python predict.py INPUTS.npy PREDICTIONS.npy\n")
        return 2
    try:
        predictor = Predictor(Path(__file__).parent)
        made = predictor.predict(array(arguments[0]))
        np.save(arguments[1], made, allow_pickle=False)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"predict.py: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
