"""The training loop: the same for one replicate and for several at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.core.schemas import Divergence
from assay.replicates.replicate_result import Outcome, Point
from assay.replicates.training_progress import Watcher
from assay.training import device, loss_terms, task_interface
from assay.training.checkpoint import Saver
from assay.training.data_wait import DataWait
from assay.training.early_stopping import EarlyStopping
from assay.training.engine import BatchShare, Engine
from assay.training.nan_detection import Monitor
from assay.training.random_streams import Globals
from assay.training.recorder_beside_lanes import RecordedLanes
from assay.training.schedules import Schedule
from assay.training.training_spec import TrainingPlan


def train(plan: TrainingPlan, engine: Engine, numbers: Sequence[int], progress: Watcher) -> list[Outcome]:
    """Train the lanes of `engine`, which are the replicates `numbers`, to the end."""
    training = Training(plan, engine, numbers, progress)
    training.resume()
    training.run()
    outcomes = training.outcomes()
    for one in outcomes:
        progress.finished(one)
    training.saver.remove()
    return outcomes


class Training:
    """Lanes under way: where they are, and all that is needed to go on from there."""

    def __init__(self, plan: TrainingPlan, engine: Engine, numbers: Sequence[int], progress: Watcher) -> None:
        self.plan = plan
        self.engine = engine
        self.progress = progress
        self.settings = plan.params.train
        self.streams = [plan.streams(number) for number in numbers]
        self.feed = plan.feed(numbers, plan.params.machine.loaders)
        self.monitor = Monitor(engine)
        self.stopping = None if plan.holdout is None else EarlyStopping(engine, self.settings.patience)
        self.saver = Saver(plan.checkpoints, numbers, engine.execution)
        self.steps = self.settings.epochs * self.feed.steps  # batches, of which `accumulate` make a step of the rule
        self.step = 0  # done so far
        self.schedule = Schedule(plan.params.lr, self.settings, plan.updates_per_epoch)
        self.losses: list[Tensor] = []  # (lanes,) each, of the epoch under way
        self.curves: list[list[Point]] = [[] for _ in numbers]
        self.spent = 0.0  # seconds before this process
        self.started = time.perf_counter()
        self.warming = engine.compiled is not None
        self.refused = False  # whether the log says that it was not compiled
        self.recorded: RecordedLanes | None = None  # until it runs
        self.wait = DataWait(progress.log)

    def run(self) -> None:
        self.recorded = RecordedLanes(self.plan, self.engine, [stream.number for stream in self.streams], self.step)
        while self.step < self.steps and not self.monitor.over:
            self._epoch(self.step // self.feed.steps + 1)

    def _epoch(self, epoch: int) -> None:
        """What is left of an epoch (from 1)."""
        for inputs, targets in self.wait.batches(self.feed.epoch(epoch, self.step % self.feed.steps)):
            self.step += 1
            if self.recorded is not None and self.recorded.waiting:
                self.recorded.batch(epoch, self.step, inputs, targets)
            lr = self.schedule.rate(self._update)
            losses = self._compiling(inputs, targets, lr) if self.warming else self._step(inputs, targets, lr)
            self.monitor.look(epoch, self.step, loss_terms.minimised(losses))
            if self.monitor.over:
                return
            self.losses.append(losses)
            if self.saver.due() and len(self.losses) < self.feed.steps:
                self.saver.write(self.state(), self.progress.log)
        self.monitor.finish()
        self._note(epoch)
        if self.saver.due():
            self.saver.write(self.state(), self.progress.log)

    def _step(self, inputs: Tensor, targets: Tensor, lr: float) -> Tensor:
        if self.settings.accumulate == 1:
            return self.engine.step(inputs, targets, lr, self._update)
        return self.engine.step(inputs, targets, lr, self._update, self._share)

    @property
    def _update(self) -> int:
        """The step of the update rule, from 1, that the batch under way belongs to."""
        if self.settings.accumulate == 1:
            return self.step
        epoch, batch = divmod(self.step - 1, self.feed.steps)
        return epoch * self.schedule.per_epoch + batch // self.settings.accumulate + 1

    @property
    def _share(self) -> BatchShare:
        """What the batch under way is of its step: by examples, so that a smaller last batch weighs less."""
        batch = (self.step - 1) % self.feed.steps
        first = batch - batch % self.settings.accumulate
        cuts = self.feed.cuts[first : first + self.settings.accumulate]
        start, end = self.feed.cuts[batch]
        return BatchShare((end - start) / (cuts[-1][1] - cuts[0][0]), batch == first + len(cuts) - 1)

    def _compiling(self, inputs: Tensor, targets: Tensor, lr: float) -> Tensor:
        """The first step of a compiled model: its time is reported apart and is no time of training."""
        started = time.perf_counter()
        losses = self._step(inputs, targets, lr).clone()
        float(losses.sum())  # waits for an accelerator
        taken = time.perf_counter() - started
        self.spent -= taken
        self.warming = False
        if not self._not_compiled():
            self.progress.log(f"compiled, with its first step, in {taken:.1f} s")
        return losses

    def _not_compiled(self) -> bool:
        """Whether compiling has failed; said once, as it may do so as late as for the last, smaller batch."""
        compiled = self.engine.compiled
        failed = compiled.failed if compiled else ""
        if failed and not self.refused:
            self.progress.log(f"not compiled: {failed}")
            self.refused = True
        return bool(failed)

    def _note(self, epoch: int) -> None:
        """Losses at the end of an epoch, for the curves."""
        sizes = torch.tensor([end - start for start, end in self.feed.cuts], dtype=torch.float64)
        training = torch.stack(self.losses).double().cpu().movedim(0, -1) @ (sizes / sizes.sum())
        with self.engine.judged():
            seen = None if self.recorded is None else self.recorded.follower(epoch)
            validation = self.engine.mean_losses(self.plan.evaluate.inputs, self.plan.evaluate.targets, seen)
            if seen is not None and self.recorded is not None:
                self.recorded.epoch(epoch)
            held, ended = self._held(epoch)
        self.losses = []
        for lane, curve in enumerate(self.curves):
            if self.monitor.diverged[lane] is None and not self.monitor.ended[lane]:
                curve.append(self._point(epoch, training[lane], validation[lane], held[lane]))
        self.monitor.ended = ended
        self._show(epoch)
        self.wait.tell(epoch, last=epoch == self.settings.epochs or self.monitor.over)
        self._not_compiled()
        busy = device.utilisation(self.plan.device)
        if busy is not None:
            self.progress.log(
                f"epoch {epoch}: accelerator {busy} % busy, peak memory {device.peak_memory(self.plan.device)} bytes"
            )

    def _held(self, epoch: int) -> tuple[list[dict[str, float]], list[bool]]:
        """Each lane's loss of the holdout by its name in the curves, and whether the lane has ended."""
        if self.stopping is None or self.plan.holdout is None:
            return [{} for _ in self.curves], self.monitor.ended
        losses = loss_terms.minimised(self.engine.mean_losses(self.plan.holdout.inputs, self.plan.holdout.targets))
        out = [where is not None or done for where, done in zip(self.monitor.diverged, self.monitor.ended, strict=True)]
        ended = self.stopping.look(epoch, losses, out)
        return [{"holdout": loss} for loss in losses.tolist()], ended

    def _point(self, epoch: int, training: Tensor, validation: Tensor, more: dict[str, float]) -> Point:
        """Losses of one lane, () each, or (1 + T,) with their terms, and `more` of the epoch."""
        names = self.engine.loss.names
        if not names:
            return Point(epoch, float(training), float(validation), more)
        both = {"train": training[1:], "validation": validation[1:]}
        terms_of = {
            f"{part} {name}": float(one) for part, terms in both.items() for name, one in zip(names, terms, strict=True)
        }
        return Point(epoch, float(training[0]), float(validation[0]), terms_of | more)

    def _show(self, epoch: int) -> None:
        self.progress.points(
            [
                (stream.number, stream.display, point)
                for stream, curve in zip(self.streams, self.curves, strict=True)
                for point in curve
                if point.epoch == epoch
            ]
        )

    def outcomes(self) -> list[Outcome]:
        with self.engine.judged():
            return self._outcomes()

    def _outcomes(self) -> list[Outcome]:
        if self.stopping is not None:
            self.stopping.give()
        began = time.perf_counter()
        predicted = predict(self.plan, self.engine)
        ended, lanes = time.perf_counter(), len(self.streams)
        share = (self.spent + ended - self.started) / lanes
        inference = (ended - began) / lanes / len(self.plan.evaluate.targets)
        found = []
        for lane, stream in enumerate(self.streams):
            finite = bool(np.isfinite(predicted[lane]).all())
            self.monitor.predictions(lane, finite, self.settings.epochs, self.steps)
            where = self.monitor.diverged[lane]
            found.append(
                Outcome(
                    number=stream.number,
                    seed=stream.display,
                    execution=self.engine.execution,
                    seconds=share,
                    steps=where.step if where else self._steps(lane),
                    weights=safetensors.torch.save(self.engine.weights(lane)),
                    curve=self.curves[lane],
                    predictions=predicted[lane],
                    diverged=where,
                    inference=inference,
                    recorded=b"" if self.recorded is None else self.recorded.taken(lane),
                    kept_epoch=None if self.stopping is None else self.stopping.best[lane],
                )
            )
        return found

    def _steps(self, lane: int) -> int:
        """Batches until the end of a lane, which may have stopped before others."""
        return len(self.curves[lane]) * self.feed.steps if self.monitor.ended[lane] else self.steps

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        self.monitor.finish()
        return {
            "step": self.step,
            "spent": self.spent + time.perf_counter() - self.started,
            "losses": torch.stack(self.losses) if self.losses else [],  # one entry, however long the epoch
            "curves": [
                [(one.epoch, one.train, one.validation, dict(one.more)) for one in curve] for curve in self.curves
            ],
            "diverged": [where and (where.epoch, where.step, where.tensor) for where in self.monitor.diverged],
            "ended": self.monitor.ended,
            "stopping": self.stopping and self.stopping.state(),
            "engine": self.engine.state(),
            "feed": self.feed.state(),
            "globals": Globals().state(),
        }

    def resume(self) -> None:
        """Go on from a checkpoint, if there is one."""
        state = self.saver.read(self.progress.log)
        if state is None:
            return
        self.step, self.spent, self.losses = state["step"], state["spent"], [*state["losses"]]
        self.losses = [one.to(self.engine.theta.device) for one in self.losses]
        self.curves = [[Point(*one) for one in curve] for curve in state["curves"]]
        self.monitor.diverged = [where and Divergence(*where) for where in state["diverged"]]
        self.monitor.ended = [*state["ended"]]
        if self.stopping is not None:
            self.stopping.restore(state["stopping"])
        self.engine.restore(state["engine"])
        self.feed.restore(state["feed"])
        Globals.of(state["globals"]).restore()
        for epoch in range(1, self.step // self.feed.steps + 1):
            self._show(epoch)
        self.progress.log(f"resumed after step {self.step} of {self.steps}")


def predict(plan: TrainingPlan, engine: Engine) -> list[NDArray[np.float32]]:
    """Predictions of each lane for the evaluated part, (N, …) each, or what score() keeps of them, batch by batch."""
    if plan.task.score is not None:
        return _scores(plan, engine)
    outputs = engine.outputs(plan.evaluate.inputs)
    targets = plan.evaluate.targets
    return [
        task_interface.predictions(plan.task, lane, targets.cpu(), plan.classes).detach().numpy().astype(np.float32)
        for lane in outputs
    ]


def _scores(plan: TrainingPlan, engine: Engine) -> list[NDArray[np.float32]]:
    """Scores of each lane; outputs of more than a batch, too large to keep, are never there."""
    found: list[list[NDArray[np.float32]]] = [[] for _ in range(engine.lanes)]
    for part, lanes in engine.portions(plan.evaluate.inputs):
        targets = plan.evaluate.targets[part].cpu()
        for lane, outputs in zip(found, lanes, strict=True):
            made = task_interface.predictions(plan.task, outputs, targets, plan.classes)
            lane.append(made.detach().numpy().astype(np.float32))
    return [np.concatenate(lane) for lane in found]
