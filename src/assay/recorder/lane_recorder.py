"""The recorder of one replicate in the loop that ships: what its network is given, what it says of the same examples.

`training.recorder_beside_lanes` imports it by name, calls it without gradients and puts the global generators back.
Batches and outputs are those of the training itself; what is computed besides is computed on a copy of the lane's
module, and nothing is drawn. Covers: the first batches as they go through the network, predictions before the first
step and after some epochs, the first layer. Not covered: loops of a task's own (`recorder.loop_recorder`), drawing
(`recorder.input_pictures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from msgspec import UNSET
from torch import Tensor, nn

from assay.core import net_record
from assay.core.net_record import SHOWN, NetBatch, NetRecord
from assay.recorder import input_pictures, target_labels
from assay.recorder.first_layer_weights import FirstLayerWeights
from assay.recorder.prediction_tracking import SCORES, PredictionTracker, moments
from assay.training import device, example_batch, task_interface
from assay.training.engine import Engine
from assay.training.training_spec import TrainingPlan

#: numbers in the followed examples, and their share of all that goes through the network, above which they are not
#: predicted before the first step: all other predictions are those of the evaluation, and cost no pass
MANY_NUMBERS, MOST_OF_PASSES = 2**20, 0.002


class LaneRecorder:
    """Beside one lane of `engine`. `waiting`: whether it wants to see more batches."""

    def __init__(self, plan: TrainingPlan, engine: Engine, lane: int, step: int) -> None:
        """`step`: how many steps an earlier process took."""
        assert plan.recording is not None
        self.plan, self.engine, self.lane, self.wanted = plan, engine, lane, plan.recording
        self.moments = frozenset(moments(plan.params.train.epochs))
        self.inputs: list[Any] = []
        self.targets: list[Tensor] = []
        self.where = ""
        self.followed: list[Tensor] = []
        self.notes: list[str] = []
        rows, size = torch.tensor(self.wanted.rows), engine.portion
        self.evaluated = [plan.evaluate.inputs[rows[start : start + size]] for start in range(0, len(rows), size)]
        self.truth = plan.evaluate.targets[rows.to(plan.evaluate.targets.device)].cpu()
        self.tracker = PredictionTracker(self.wanted.ids, self.truth, self.wanted.classes)
        self.tracker.problem = SCORES if plan.task.score is not None else self.tracker.problem
        module = engine.lane_copy(lane)
        first = next(iter(_rows(self.evaluated[0])))
        few = example_batch.mapped(lambda tensor: tensor[:2], self.evaluated[0])
        self.layer = FirstLayerWeights.met_first(module, lambda: self._outputs(module, few), first)
        if step:
            self.notes.append(f"the training was resumed after step {step}: what went before is not recorded")
        elif not self.tracker.problem and _is_cheap(self.evaluated, plan):
            self._say(0, torch.cat([self._outputs(module, one) for one in self.evaluated]))

    @property
    def waiting(self) -> bool:
        return len(self.inputs) < SHOWN

    def batch(self, epoch: int, step: int, inputs: Any, targets: Tensor) -> None:
        """Inputs (B, …) and targets that are about to go through the network."""
        self.where = self.where or f"training mode, epoch {epoch}, step {step}"
        room = SHOWN - len(self.inputs)
        few = example_batch.mapped(lambda tensor: tensor[:room].detach().cpu().clone(), inputs)
        self.inputs += _rows(few)
        self.targets += list(targets[:room].detach().cpu().clone())

    def wants(self, epoch: int) -> bool:
        return epoch in self.moments and not self.tracker.problem

    def follow(self, part: slice, outputs: Tensor, lane: int) -> None:
        """Keep outputs of the followed examples among the rows `part`; `outputs` are (lanes, rows, …)."""
        rows = [row - part.start for row in self.wanted.rows if part.start <= row < part.stop]
        if rows:
            self.followed.append(outputs[lane][torch.tensor(rows)].detach().float().cpu())

    def epoch(self, epoch: int) -> None:
        """What the network says of them after `epoch`."""
        outputs, self.followed = torch.cat(self.followed), []
        self._say(epoch, outputs)

    def _say(self, epoch: int, outputs: Tensor) -> None:
        if not self.tracker.problem:
            made = task_interface.predictions(self.plan.task, outputs, self.truth, self.plan.classes)
            self.tracker.add(epoch, made)

    def taken(self) -> bytes:
        """The record, once the training is over."""
        layer = self.layer.record(self.engine.lane_copy(self.lane))
        notes = [*self.notes, *filter(None, (self.tracker.problem, self.layer.problem))]
        record = NetRecord(
            replicate=self.wanted.number,
            seed=self.plan.streams(self.wanted.number).display,
            training=self._training(),
            validation=self._validation(),
            predictions=self.tracker.record(),
            first_layer=layer,
            notes=notes,
        )
        return net_record.within_limit(record)

    def _outputs(self, module: nn.Module, inputs: Any) -> Tensor:
        """(B, …) outputs of a copy of the module in evaluation mode, on the host."""
        place = self.engine.theta.device
        with device.autocast(place, self.plan.params.train.precision):
            made: Tensor = module(example_batch.moved(inputs, place))
        return made.detach().float().cpu()

    def _training(self) -> Any:
        if not self.inputs:
            return UNSET
        labels = [target_labels.labels(one[None], self.wanted.classes)[0] for one in self.targets]
        return input_pictures.batch(self.inputs, labels, self.where)

    def _validation(self) -> NetBatch:
        """Every second of the followed ones, where there are twice as many as are shown."""
        rows = [row for one in self.evaluated for row in _rows(one)]
        step = max(1, len(rows) // SHOWN)
        labels = target_labels.labels(self.truth, self.wanted.classes)
        chosen = range(0, len(rows), step)[:SHOWN]
        return input_pictures.batch([rows[one] for one in chosen], [labels[one] for one in chosen], "evaluation mode")


def _is_cheap(evaluated: Sequence[Any], plan: TrainingPlan) -> bool:
    """Whether one more pass of the followed examples is little of the training; a training pass counts three times."""
    numbers = sum(
        one.numel() for batch in evaluated for one in (batch.values() if isinstance(batch, dict) else [batch])
    )
    passes = plan.params.train.epochs * (3 * len(plan.train) + len(plan.evaluate))
    followed = sum(len(_first(batch)) for batch in evaluated)
    return numbers <= MANY_NUMBERS or followed <= MOST_OF_PASSES * passes


def _first(inputs: Any) -> Tensor:
    found: Tensor = inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))
    return found


def _rows(inputs: Any) -> list[Any]:
    """A batch as single examples, on the host."""
    if isinstance(inputs, Tensor):
        return list(inputs.detach().cpu())
    count = len(_first(inputs))
    return [{name: tensor[row].detach().cpu() for name, tensor in inputs.items()} for row in range(count)]
