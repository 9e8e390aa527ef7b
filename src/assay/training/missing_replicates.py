"""All replicates of a request: those that are at hand, and those that have to be trained.

Two processes that want the same replicate train it once: each trains what nobody else holds, and waits
for the rest only when it has nothing left to do, so that none waits for one that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import safetensors.torch
import torch
from msgspec import UNSET

from assay.core.params_yaml import Params
from assay.core.schemas import FOREGROUND, PREDICTIONS, Divergence, MeasureRequest
from assay.replicates.assemble_measurement import ignored
from assay.replicates.replicate_cache import ReplicateCache
from assay.replicates.replicate_result import Outcome
from assay.replicates.train_and_eval_examples import ExampleSubset
from assay.replicates.training_progress import Progress
from assay.runtime.device_places import DevicePlace
from assay.training import (
    configured_task,
    device,
    loop_devices,
    model_init,
    request_plan,
    run_replicates,
    training_loop,
)
from assay.training.device_processes import TrainingOrder
from assay.training.loop_replicates import LoopReplicates
from assay.training.replicate_process import ReadyJob
from assay.training.task_interface import Task
from assay.training.training_spec import Recording, TrainingPlan
from assay.training.vmap import equivalence_check


class RequestRun:
    """What is shared while one request is answered."""

    def __init__(
        self,
        request: MeasureRequest,
        params: Params,
        task: Task,
        where: torch.device,
        sample: ExampleSubset,
        store: ReplicateCache,
        progress: Progress,
    ) -> None:
        self.request = request
        self.settings = params
        self.task = task
        self.device = where
        self.sample = sample
        self.train = sample.train
        self.evaluated = sample.evaluated
        self.turned_to = request.replicates[0]  # the replicate whose examples these are, where each has its own
        self.store = store
        self.progress = progress
        self.found: dict[int, Outcome] = {}
        self.before: Callable[[RequestRun], None] = ignored  # called once something is about to train
        self.loop_watch: Callable[[], str] = str  # module that watches a loop of the task's own
        self.loop_seen: Callable[[list[dict[str, Any]]], None] = ignored
        self.recorder = ""  # module that takes down what one network is given and says
        progress.keep = self.keep

    def outcomes(self) -> list[Outcome]:
        """Every replicate of the request, in its order."""
        try:
            self._look(self.request.replicates)
            wait = False
            while self._missing:
                if wait:
                    self.progress.say(f"waiting for replicate {self._missing[0]}, which another process trains")
                mine = self.store.claim(self._missing, wait=wait)
                wait = not mine
                self._look(mine)
                self._train([number for number in mine if number not in self.found])
                self._look(self._missing)
        finally:
            self.store.close()
        return [self.found[number] for number in self.request.replicates]

    def claim(self) -> list[int]:
        """Replicates that neither the cache nor anybody else has: now nobody else will train them."""
        self._look(self.request.replicates)
        mine = self.store.claim(self._missing)
        self._look(mine)
        return [number for number in mine if number not in self.found]

    @property
    def _missing(self) -> list[int]:
        return [number for number in self.request.replicates if number not in self.found]

    def _look(self, numbers: Sequence[int]) -> None:
        """Take from the cache what it has; predict where this evaluated part is new to it."""
        for number in numbers:
            outcome = self.store.load(number)
            if outcome is None or (outcome.predictions is None and not self._can_predict(outcome)):
                continue
            if outcome.predictions is None:
                self._predict(outcome)
                self.store.save(outcome)
            self.progress.finished(outcome)

    def keep(self, outcome: Outcome) -> None:
        self.found[outcome.number] = outcome
        if not outcome.reused:
            self.store.save(outcome)
        self.store.release(outcome.number)

    def _train(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        if self.task.fit is None:
            model_init.check(self.plan)
            self.note_start()
        self.before(self)
        if self.request.draws is not UNSET:
            self._train_each(numbers)
            return
        if self.task.fit is None:
            asked = self.request.execution
            execution = "sequential" if asked == FOREGROUND else asked
            plan = replace(self.plan, recording=self.recording(numbers))
            if self.places:
                order = TrainingOrder(self.request, self.settings, self.task.root, self.store.names, plan.recording)
                run_replicates.over_places(order, plan, numbers, self.places, self.progress, self.store)
                return
            run_replicates.run(plan, self.request.replicates, numbers, execution, self.progress, self.store)
            return
        recording = self.recording(numbers)
        watched = self.loop_watch(), self.loop_seen, recording.module if recording else ""
        if self.places:
            loop_devices.train(self.loop, numbers, self.places, *watched)
        else:
            self.loop.train(numbers, *watched)

    @cached_property
    def places(self) -> list[DevicePlace]:
        """Where replicates train at the same time; none where they train in this process."""
        request = self.request
        return [] if request.execution == FOREGROUND else device.places(request.device, request.devices)

    def _train_each(self, numbers: Sequence[int]) -> None:
        """One replicate after another, each on examples of its own."""
        if self.places:
            self.progress.say("machine.devices is not used: with vary: split each replicate has examples of its own")
        recording = self.recording(numbers)
        for number in numbers:
            self.turn_to(number)
            mine = recording if recording is not None and recording.number == number else None
            if self.task.fit is not None:
                self.loop.train([number], self.loop_watch(), self.loop_seen, mine.module if mine else "")
                continue
            plan = replace(self.plan, recording=mine)
            run_replicates.run(plan, [number], [number], "sequential", self.progress, self.store)

    def turn_to(self, number: int) -> None:
        """Go on with the examples of this replicate, and the task as it is for them, where each has its own."""
        if self.request.draws is UNSET or number == self.turned_to:
            return
        own = self.sample.of(number)
        self.train, self.evaluated, self.turned_to = own.train, own.evaluated, number
        self.task = configured_task.load(self.settings, self.task.root, own.train)
        for made in ("plan", "loop"):
            self.__dict__.pop(made, None)

    def recording(self, numbers: Sequence[int]) -> Recording | None:
        """What is taken down while `numbers` train: the first of them, unless a replicate at hand has it already."""
        if not self.recorder or not numbers or any(self.store.recorded(one) for one in self.request.replicates):
            return None
        self.turn_to(numbers[0])
        return Recording.of(self.recorder, numbers[0], self.evaluated)

    def note_start(self) -> None:
        """Keep with the replicates that all of them begin with the same weights, if they do."""
        note = model_init.same_start(self.plan, self.request.replicates)
        if note and note not in self.store.notes:
            self.store.notes.append(note)

    def _can_predict(self, outcome: Outcome) -> bool:
        """Whether trained weights are enough to predict."""
        return self.task.fit is None or self.loop.can_predict(outcome)

    def _predict(self, outcome: Outcome) -> None:
        """Predictions of trained weights for an evaluated part that they have not seen."""
        self.turn_to(outcome.number)
        if self.task.fit is not None:
            self.loop.predict(outcome)
            return
        engine = equivalence_check.alone(self.plan, outcome.number)
        engine.load(safetensors.torch.load(outcome.weights))
        (outcome.predictions,) = training_loop.predict(self.plan, engine)
        if outcome.diverged is None and not np.isfinite(outcome.predictions).all():
            epochs = self.settings.train.epochs
            outcome.diverged = Divergence(epoch=epochs, step=outcome.steps, tensor=PREDICTIONS)

    @cached_property
    def loop(self) -> LoopReplicates:
        """Where the task brings its own loop."""
        ready = ReadyJob(self.task, self.train, self.evaluated)
        return LoopReplicates(self.request, self.settings, ready, self.store, self.progress)

    @property
    def peak_memory(self) -> int:
        """Bytes at the worst moment so far, of the device, or of the processes in which a loop of its own ran."""
        own = self.loop.peak_memory if self.task.fit is not None else 0
        return max(own, device.peak_memory(self.device))

    @cached_property
    def plan(self) -> TrainingPlan:
        return request_plan.of(
            self.request, self.settings, self.task, self.device, self.train, self.evaluated, self.store.names
        )
