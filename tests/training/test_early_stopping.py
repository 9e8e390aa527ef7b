"""Early stopping in the loop of the product: against a plain loop, alone, in lanes, in processes, and after a kill."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from miniature import Make, Project, digits
from test_checkpoint import Interrupted, interrupt_at
from test_recipe import ALONE, LANES, TASK, adam, differences, plan_of, project_of, reference, trained
from torch import nn

from assay.core.errors import UsageError
from assay.training.batches import Tensors
from assay.training.early_stopping import EarlyStopping
from assay.training.training_spec import TrainingPlan
from assay.training.vmap import equivalence_check

PATIENCE = 3
#: so steep that the holdout's loss soon rises
STEEP = {"epochs": 30, "holdout": 0.2, "patience": PATIENCE}


def held_plan(project: Project) -> TrainingPlan:
    part = digits(600, 640)
    held = Tensors(torch.from_numpy(part.inputs).double() / 16, torch.from_numpy(part.targets))
    return replace(plan_of(project), holdout=held)


class Stopper:
    """A plain loop that keeps the best weights and counts epochs without better ones."""

    def __init__(self, plan: TrainingPlan, patience: int | None = PATIENCE) -> None:
        self.plan, self.patience = plan, patience
        self.lowest, self.best, self.at, self.stopped = float("inf"), nn.Module(), 0, 0

    def look(self, module: nn.Module, epoch: int) -> None:
        assert self.plan.holdout is not None and self.plan.task.loss is not None
        if self.stopped:
            return
        with torch.no_grad():
            loss = float(self.plan.task.loss(module(self.plan.holdout.inputs), self.plan.holdout.targets))
        if loss < self.lowest:
            self.lowest, self.best, self.at = loss, copy.deepcopy(module), epoch
        elif self.patience is not None and epoch - self.at >= self.patience:
            self.stopped = epoch


def stopped(plan: TrainingPlan, number: int, patience: int | None = PATIENCE) -> Stopper:
    stopper = Stopper(plan, patience)
    module = reference(
        plan, number, adam, before=lambda net, epoch: stopper.look(net, epoch - 1) if epoch > 1 else None
    )
    stopper.look(module, plan.params.train.epochs)
    return stopper


def test_a_plain_loop_keeps_the_same_weights(make: Make) -> None:
    plan = held_plan(project_of(make, **STEEP))
    (alone,), training = trained(plan, [3])
    twin = stopped(plan, 3)
    training.outcomes()
    assert 1 < twin.at < twin.stopped < 30, "neither the first nor the last epoch, else nothing is shown"
    assert training.stopping is not None and training.stopping.best == [twin.at]
    assert differences(training.engine.weights(0), twin.best) <= ALONE
    assert differences(alone, twin.best) > 1e-4, "the last weights are others"
    assert len(training.curves[0]) == twin.stopped and training.outcomes()[0].steps == 4 * twin.stopped
    held = [point.more["holdout"] for point in training.curves[0]]
    assert min(held) == held[twin.at - 1] == pytest.approx(twin.lowest)


@pytest.mark.extra
def test_lanes_end_apart(make: Make) -> None:
    plan = held_plan(project_of(make, **STEEP))
    numbers = [0, 3, 5]
    _, training = trained(plan, numbers)
    found = training.outcomes()
    twins = [stopped(plan, number) for number in numbers]
    assert len({twin.stopped for twin in twins}) > 1
    for lane, twin in enumerate(twins):
        assert differences(training.engine.weights(lane), twin.best) <= LANES
        assert (found[lane].kept_epoch, len(found[lane].curve)) == (twin.at, twin.stopped)


def test_a_lane_that_has_ended_takes_no_later_weights(make: Make) -> None:
    plan = held_plan(project_of(make, **STEEP))
    stopping = EarlyStopping(equivalence_check.fused(plan, [0, 3]), 1)
    ended = stopping.look(1, torch.tensor([1.0, 3.0]), [False, False])
    ended = stopping.look(2, torch.tensor([2.0, 2.0]), ended)
    assert ended == [True, False]
    assert stopping.look(3, torch.tensor([0.5, float("nan")]), ended) == [True, True] and stopping.best == [1, 2]


def test_without_patience_all_epochs_train_and_the_best_is_kept(make: Make) -> None:
    plan = held_plan(project_of(make, epochs=20, holdout=0.2))
    _, training = trained(plan, [3])
    twin = stopped(plan, 3, None)
    training.outcomes()
    assert len(training.curves[0]) == 20 and differences(training.engine.weights(0), twin.best) <= ALONE


def test_a_running_mean_is_what_is_held_against_the_holdout(make: Make) -> None:
    plan = held_plan(project_of(make, epochs=6, holdout=0.2, ema_decay=0.9))
    _, training = trained(plan, [3])
    (one,) = training.outcomes()
    assert training.stopping is not None
    training.engine.load(safetensors.torch.load(one.weights))
    best = training.engine.mean_losses(plan.holdout.inputs, plan.holdout.targets)  # type: ignore[union-attr]
    assert float(best[0]) == pytest.approx(one.curve[training.stopping.best[0] - 1].more["holdout"], abs=1e-12)


BUFFERS = TASK.replace("nn.LayerNorm(12)", "nn.BatchNorm1d(12)")


def test_buffers_are_those_of_the_best_epoch(make: Make) -> None:
    plan = held_plan(project_of(make, BUFFERS, **STEEP))
    _, training = trained(plan, [3])
    (one,) = training.outcomes()
    assert one.kept_epoch and one.kept_epoch < len(one.curve)
    held = training.engine.mean_losses(plan.holdout.inputs, plan.holdout.targets)  # type: ignore[union-attr]
    assert float(held[0]) == pytest.approx(one.curve[one.kept_epoch - 1].more["holdout"], abs=1e-12)


def test_what_becomes_of_a_lane_after_its_end_does_not_count(make: Make) -> None:
    plan = held_plan(project_of(make, **STEEP))
    _, training = trained(plan, [0, 3, 5])
    first = min(range(3), key=lambda lane: len(training.curves[lane]))
    _, again = trained(plan, [0, 3, 5])
    again.monitor.diverged = [None] * 3
    again.engine.theta[first] = float("nan")
    again.monitor.look(99, 999, torch.zeros(3))
    assert again.monitor.diverged[first] is None and again.outcomes()[first].diverged is None


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_it_goes_on_after_a_kill(make: Make, monkeypatch: pytest.MonkeyPatch, execution: str) -> None:
    settings = {"epochs": 12, "holdout": 0.2, "patience": 2, "batch_size": 32}
    undisturbed = make(train=settings, lr=0.05)
    undisturbed.measure([0, 1], execution=execution)
    project = make(train=settings, lr=0.05)
    cache = {"execution": execution, "cache": str(project.root / "cache"), "environment": "e"}
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20, 2 if execution == "fused" else 1)
        with pytest.raises(Interrupted):
            project.measure([0, 1], **cache)
    project.measure([0, 1], **cache)
    assert [project.weights(number) for number in (0, 1)] == [undisturbed.weights(number) for number in (0, 1)]


def test_held_out_examples_do_not_train_and_processes_stop_alike(make: Make) -> None:
    project = make(train={"epochs": 8, "holdout": 0.25, "patience": 1}, lr=0.5)
    one = project.measure([0, 1], execution="sequential")
    weights = [project.weights(number) for number in (0, 1)]
    project.measure([0, 1], execution="processes", out="again")
    assert weights == [project.weights(number, "again") for number in (0, 1)]
    assert one.replicates[1].steps == 25 < 8 * 5 and "weights of epoch" in (project.root / "out/train.log").read_text()


def test_patience_needs_a_holdout(make: Make) -> None:
    with pytest.raises(UsageError, match=r"train.patience 3 needs train.holdout.*next: set train.holdout, such as 0.1"):
        make(train={"patience": 3}).measure([0])
