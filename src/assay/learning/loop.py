"""The training loop: the same for one replicate and for several at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.learning import contract, rules
from assay.learning.contract import Task
from assay.learning.divergence import Monitor
from assay.learning.engine import Engine
from assay.learning.feed import Feed, Tensors
from assay.learning.outcome import Outcome, Point
from assay.learning.progress import Progress
from assay.learning.seeding import Streams
from assay.words.params import Params


@dataclass(frozen=True)
class Plan:
    """What is to be trained, without saying how."""

    task: Task
    params: Params
    device: torch.device
    seed: int
    purpose: str
    train: Tensors
    evaluate: Tensors
    classes: int | None
    outputs: int

    def streams(self, number: int) -> Streams:
        return Streams(self.seed, self.purpose, number)


def train(plan: Plan, engine: Engine, numbers: Sequence[int], progress: Progress) -> list[Outcome]:
    """Train the lanes of `engine`, which are the replicates `numbers`, to the end."""
    started = time.perf_counter()
    streams = [plan.streams(number) for number in numbers]
    feed = Feed(plan.task, plan.train, plan.params.train.batch_size, streams)
    monitor = Monitor(engine)
    curves: list[list[Point]] = [[] for _ in numbers]
    epochs = plan.params.train.epochs
    for epoch in range(1, epochs + 1):
        losses = _epoch(plan, engine, feed, monitor, epoch)
        if monitor.over:
            break
        validation = engine.mean_losses(plan.evaluate.inputs, plan.evaluate.targets)
        rows = []
        for lane, stream in enumerate(streams):
            if monitor.diverged[lane] is None:
                point = Point(epoch, float(losses[lane]), float(validation[lane]))
                curves[lane].append(point)
                rows.append((stream.number, stream.display, point))
        progress.points(rows)
    predicted = predict(plan, engine)
    outcomes = []
    share = (time.perf_counter() - started) / len(numbers)
    for lane, stream in enumerate(streams):
        monitor.predictions(lane, bool(np.isfinite(predicted[lane]).all()), epochs, epochs * feed.steps)
        where = monitor.diverged[lane]
        outcomes.append(
            Outcome(
                number=stream.number,
                seed=stream.display,
                execution=engine.execution,
                seconds=share,
                steps=where.step if where else epochs * feed.steps,
                weights=engine.weights(lane),
                curve=curves[lane],
                predictions=predicted[lane],
                diverged=where,
            )
        )
    for one in outcomes:
        progress.finished(one)
    return outcomes


def _epoch(plan: Plan, engine: Engine, feed: Feed, monitor: Monitor, epoch: int) -> Tensor:
    """One epoch of all lanes; their (lanes,) mean losses on the host."""
    settings = plan.params.train
    steps = settings.epochs * feed.steps
    kept: list[Tensor] = []
    sizes: list[int] = []
    step = (epoch - 1) * feed.steps
    for inputs, targets in feed.epoch(epoch):
        step += 1
        lr = rules.step_size(plan.params.lr, settings.schedule, step, steps)
        losses = engine.step(inputs, targets, lr, step)
        monitor.look(epoch, step, losses)
        if monitor.over:
            break
        kept.append(losses)
        sizes.append(targets.shape[1])
    monitor.finish()
    if not kept:
        return torch.full((engine.lanes,), float("nan"))
    weights = torch.tensor(sizes, dtype=torch.float64)
    return torch.stack(kept).double().cpu().T @ (weights / weights.sum())


def predict(plan: Plan, engine: Engine) -> list[NDArray[np.float32]]:
    """Predictions of each lane for the evaluated part, (N, …) each."""
    outputs = engine.outputs(plan.evaluate.inputs)
    targets = plan.evaluate.targets
    return [
        contract.predictions(plan.task, lane, targets, plan.classes).detach().numpy().astype(np.float32)
        for lane in outputs
    ]
