"""The recorder of one replicate whose task brings its own loop: the first batch that a module of torch gets in it, and
what is predicted in the end.

What a loop does is its own: which label an example of its batch has, and what the network says meanwhile, nobody
outside of it knows. A hook on all modules sees the first call in training mode and is gone. Not covered: the loop that
ships (`recorder.lane_recorder`), drawing (`recorder.input_pictures`).
"""

from __future__ import annotations

from typing import Any

import torch
from msgspec import UNSET
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from assay.core import net_record
from assay.core.net_record import AFTER, SHOWN, NetBatch, NetRecord
from assay.recorder import input_pictures, target_labels
from assay.recorder.first_layer_weights import FirstLayerWeights
from assay.recorder.prediction_tracking import SCORES, PredictionTracker
from assay.training.training_spec import Recording

OWN = "the loop is the task's own: labels of its batches, and predictions before its end, are known to it alone"
UNSEEN = "training examples are not shown: the loop called no module of torch in training mode with a batch of its own"
NO_TENSORS = "validation examples are not shown: they are no Tensors; the cases show examples as they are"


class LoopRecorder:
    """Beside one fit(). `begin` and `end` stand around it."""

    def __init__(self, wanted: Recording) -> None:
        self.wanted = wanted
        self.met: tuple[str, Tensor] | None = None  # the module that was called first, and what it got
        self._hook: Any = None

    def begin(self) -> None:
        self._hook = register_module_forward_pre_hook(self._called)

    def end(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _called(self, module: nn.Module, given: tuple[Any, ...]) -> None:
        """Keep a copy of the first batch; what a compiler traces is left alone."""
        if torch.compiler.is_compiling() or self.met is not None or not module.training:
            return
        inputs = given[0] if given else None
        if not isinstance(inputs, Tensor) or inputs.ndim < 2 or type(inputs) is not Tensor:
            return
        self.met = type(module).__name__, inputs[:SHOWN].detach().cpu().clone()
        self.end()

    def taken(self, made: Any, parts: Any, predicted: NDArray[Any], scores: bool, seed: int) -> bytes:
        """The record. `made`: what fit() returned; `parts`: LoopParts; `predicted` (N, …); `scores`: whether these are
        what score() keeps."""
        rows = torch.tensor(self.wanted.rows)
        table = parts.evaluated.table[rows]
        tracker = PredictionTracker(self.wanted.ids, table, self.wanted.classes)
        tracker.problem = SCORES if scores else tracker.problem
        if not tracker.problem:
            tracker.add(AFTER, torch.from_numpy(predicted)[rows])
        notes = [OWN, *filter(None, [tracker.problem])]
        tensors = parts.evaluated.are_tensors
        notes += ([] if self.met else [UNSEEN]) + ([] if tensors else [NO_TENSORS])
        layer = FirstLayerWeights.defined_first(made, self._example(parts)) if tensors else None
        record = NetRecord(
            replicate=self.wanted.number,
            seed=seed,
            training=self._training(),
            validation=self._validation(parts, table) if tensors else UNSET,
            predictions=tracker.record(),
            first_layer=layer.record(made) if layer is not None else UNSET,
            notes=notes,
        )
        return net_record.within_limit(record)

    def _example(self, parts: Any) -> Any:
        return _alone(parts.evaluated, self.wanted.rows[0])

    def _training(self) -> Any:
        if self.met is None:
            return UNSET
        name, inputs = self.met
        where = f"training mode, the first batch that a module got ({name})"
        return input_pictures.batch(list(inputs), [""] * len(inputs), where)

    def _validation(self, parts: Any, table: Tensor) -> NetBatch:
        step = max(1, len(self.wanted.rows) // SHOWN)
        labels = target_labels.labels(table, self.wanted.classes)[::step][:SHOWN]
        rows = [_alone(parts.evaluated, row) for row in self.wanted.rows[::step][:SHOWN]]
        return input_pictures.batch(rows, labels, "as what fit() returned gets them")


def _alone(examples: Any, row: int) -> Any:
    """One input as a module gets it: a Tensor, or a dict of them."""
    found = examples.batch(slice(row, row + 1))
    if isinstance(found, Tensor):
        return found[0].detach().cpu()
    return {name: tensor[0].detach().cpu() for name, tensor in found.items()}
