"""Predictions of what `fit()` returns, a module or a function, and the weights that are kept of it.

Covers: calling it, shapes, `predict()` and `score()` of the task on top. Not covered: a fit() of the older form, whose
predictor gets arrays (`training.custom_fit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.core.errors import AssayError
from assay.core.short_repr import excerpt
from assay.data.storage import Examples
from assay.runtime import task_source
from assay.training import engine, example_batch, task_interface
from assay.training.loop_data import LoopExamples
from assay.training.task_interface import Task

_PREDICTOR = "a torch.nn.Module, or a function from inputs to predictions"
#: examples on which two ways to the same predictions are compared
_TRIED = 64
#: largest difference that rounding makes, of probabilities or of values relative to their size
_ROUNDING = 1e-3


class LoopPredictor:
    """What fit() or load() returned, asked for predictions of `examples`. `name` is the member that returned it."""

    def __init__(
        self, task: Task, made: Any, name: str, examples: LoopExamples, evaluated: Examples, size: int
    ) -> None:
        """`size`: examples of a batch. Raises UsageError where `made` cannot predict."""
        if not callable(made):
            raise task.refuse(f"{name}() returns {type(made).__name__}", _PREDICTOR)
        if isinstance(made, nn.Module) and not examples.are_tensors:
            problem = f"{name}() returns a module, and the inputs are no Tensors"
            raise task.refuse(problem, "a function that takes them as data.train.inputs has them; or decode()")
        self.task, self.made, self.name, self.size = task, made, name, size
        self.examples, self.evaluated = examples, evaluated
        self.notes: list[str] = []

    def predictions(self) -> NDArray[np.float32]:
        """(N, …) predictions, or what `score()` keeps of them."""
        try:
            outputs = self._of_module(self.made) if isinstance(self.made, nn.Module) else self._of_function()
        except AssayError:
            raise
        except Exception as error:
            said = f"{task_interface.brief(error)}{task_source.at_line(self.task.root, error)}"
            raise self.task.refuse(f"the {self._kind} of {self.name}() fails with {said}") from error
        made = self._predicted(outputs)
        return made.detach().cpu().float().numpy()

    def few(self) -> NDArray[np.float32]:
        """Predictions of the first examples alone, to compare them."""
        count = min(len(self.evaluated), _TRIED)
        first = self.evaluated.take(np.arange(count))
        other = LoopPredictor(self.task, self.made, self.name, self.examples.first(count), first, self.size)
        return other.predictions()

    @property
    def _kind(self) -> str:
        return "module" if isinstance(self.made, nn.Module) else "function"

    def _of_module(self, module: nn.Module) -> Tensor:
        """(N, …) outputs, batch by batch, in evaluation mode on the module's own device."""
        tensors = (one for one in (*module.parameters(), *module.buffers()))
        place = next((one.device for one in tensors), torch.device("cpu"))
        modes = [(one, one.training) for one in module.modules()]
        module.eval()
        try:
            with torch.no_grad():
                found = [self._one(module, batch, place) for batch in self._batches()]
        finally:
            for one, training in modes:
                one.training = training
        return torch.cat(found)

    def _batches(self) -> Iterator[Any]:
        for start in range(0, len(self.examples), self.size):
            yield self.examples.batch(slice(start, min(start + self.size, len(self.examples))))

    def _one(self, module: nn.Module, batch: Any, place: torch.device) -> Tensor:
        inputs = example_batch.moved(batch, place)
        # as models of transformers take them
        named = isinstance(inputs, dict) and task_interface.binds(module.forward, **inputs)
        outputs = module(**inputs) if named else module(inputs)
        outputs = getattr(outputs, "logits", outputs)  # as models of transformers have them
        if not isinstance(outputs, Tensor):
            problem = f"the module of {self.name}() returns {type(outputs).__name__}"
            raise self.task.refuse(problem, "a Tensor, or what has `logits`")
        return outputs.cpu()

    def _of_function(self) -> Tensor:
        made = self.made(self.examples.inputs)
        if np.ma.is_masked(made):
            raise self.task.refuse(f"the function of {self.name}() returns a masked array", "a row for each")
        if isinstance(made, Tensor):
            return made.detach().cpu()
        array = np.asarray(made)
        if array.dtype.kind not in "buif":
            raise self.task.refuse(
                f"the function of {self.name}() returns {excerpt(made)}", "numbers, a row an example"
            )
        return torch.from_numpy(np.array(array))

    def _predicted(self, outputs: Tensor) -> Tensor:
        classes = None if self.evaluated.classes is None else len(self.evaluated.classes)
        if outputs.ndim == 0 or len(outputs) != len(self.evaluated):
            problem = (
                f"the {self._kind} of {self.name}() returns {tuple(outputs.shape)} for {len(self.evaluated)} examples"
            )
            raise self.task.refuse(problem, "a row for each")
        targets = self.examples.table
        if self.task.score is not None or (
            isinstance(self.made, nn.Module) and not self._are_chances(outputs, classes)
        ):
            return task_interface.predictions(self.task, outputs.float(), targets, classes)
        if classes is not None and tuple(outputs.shape) not in task_interface.allowed_shapes(
            tuple(targets.shape), classes
        ):
            expected = (
                f"{task_interface.allowed_shapes(tuple(targets.shape), classes)[0]}, a probability for each class"
            )
            raise self.task.refuse(f"the {self._kind} of {self.name}() returns {tuple(outputs.shape)}", expected)
        return outputs

    def _are_chances(self, outputs: Tensor, classes: int | None) -> bool:
        """Whether a module's outputs are probabilities already: softmax is for what it did not go through."""
        if classes is None or self.task.predict is not None or outputs.shape[-1] != classes or classes < 2:
            return False
        sums = outputs.double().sum(-1)
        found = bool((outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-4))
        if found:
            self.notes.append(f"outputs of the module of {self.name}() are probabilities already, and stay as they are")
        return found


def differs(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """The largest difference between predictions of the same examples, 0 where rounding makes it."""
    if one.shape != two.shape:
        return float("inf")
    distance = np.abs(one.astype(np.float64) - two) / np.maximum(1.0, np.abs(one))
    largest = float(np.nan_to_num(distance, nan=0.0).max(initial=0.0))
    return largest if largest > _ROUNDING else 0.0


def weights(made: Any) -> dict[str, Tensor]:
    """What `made` shows as `state_dict`, if it does, without what a file cannot hold."""
    state = getattr(made, "state_dict", None)
    found = state() if callable(state) else {}
    return {
        name: engine.plain(value)
        for name, value in found.items()
        if isinstance(value, Tensor) and task_interface.storable(value)
    }


def packed(tensors: dict[str, Tensor]) -> bytes:
    """Weights as a file keeps them."""
    return safetensors.torch.save(tensors)
