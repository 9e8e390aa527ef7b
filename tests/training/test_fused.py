"""Replicates trained together are the replicates trained alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from miniature import Make, Project, digits
from zoo import BREAKING, FUSABLE, TASK

from assay.core import params_yaml
from assay.training import device, task_interface
from assay.training.batches import Feed, Tensors
from assay.training.engine import Engine
from assay.training.training_loop import TrainingPlan
from assay.training.vmap import equivalence_check

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "clip": 0.5},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw", "weight_decay": 1e-2, "schedule": "cosine"},
}
#: nets with a sigmoid: torch computes the last numbers of a tensor by another formula, and the last lane has them
GATED = {"sequence", "recurrent"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As models of this size train. More would fight with those of the other test processes, for most of the time."""
    with device.threads(1):
        yield


def plan_of(project: Project, device: str = "cpu") -> TrainingPlan:
    settings = params_yaml.resolved((project.root / "params.yaml").read_bytes())
    task = task_interface.load(project.task, project.root, settings.model)
    part = digits(0, 200)
    dtype = {"float64": torch.float64}.get(settings.train.precision, torch.float32)
    data = Tensors(torch.from_numpy(part.inputs).to(dtype) / 16, torch.from_numpy(part.targets))
    return TrainingPlan(task, settings, torch.device(device), 1, "candidate", data, data, 10, 10)


def steps(plan: TrainingPlan, engine: Engine, numbers: list[int], count: int = 50) -> torch.Tensor:
    """(lanes, parameters) after `count` steps."""
    feed = Feed(plan.task, plan.train, plan.params.train.batch_size, [plan.streams(one) for one in numbers])
    done = 0
    for epoch in range(1, count):
        for inputs, targets in feed.epoch(epoch):
            done += 1
            engine.step(inputs, targets, plan.params.lr, done)
            if done == count:
                return engine.theta.clone()
    raise AssertionError


def everything(plan: TrainingPlan, numbers: list[int]) -> list[torch.Tensor]:
    """Parameters after 12 steps of lanes, their buffers, outputs and losses then: (lanes, …) each."""
    lanes = equivalence_check.fused(plan, numbers)
    theta = steps(plan, lanes, numbers, 12)
    inputs, targets = plan.evaluate.inputs[:183], plan.evaluate.targets[:183]
    with torch.no_grad():
        outputs = [lanes.forward(inputs[:64]), lanes.forward(inputs[:41])]
    return [theta, *lanes.buffers().values(), *outputs, lanes.mean_losses(inputs, targets)]


@pytest.mark.parametrize("net", FUSABLE)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_follows_its_sequential_twin_in_float64(make: Make, net: str, optimizer: str) -> None:
    project = make(TASK, model={"net": net}, train={"precision": "float64", **OPTIMIZERS[optimizer]})
    plan = plan_of(project)
    numbers = [0, 3, 7]
    lanes = equivalence_check.fused(plan, numbers)
    together = steps(plan, lanes, numbers)
    for lane, number in enumerate(numbers):
        twin = equivalence_check.alone(plan, number)
        alone = steps(plan, twin, [number])[0]
        assert (together[lane] - alone).abs().max() < 1e-6
        assert together[lane].abs().max() > 0
        for name, kept in twin.buffers().items():
            assert (lanes.buffers()[name][lane] - kept[0]).abs().max() < 1e-6


@pytest.mark.parametrize("net", sorted({*FUSABLE} - GATED))
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("batch", [32, 50])
def test_other_replicates_change_nothing(make: Make, net: str, precision: str, batch: int) -> None:
    plan = plan_of(make(TASK, model={"net": net}, train={"precision": precision, "batch_size": batch}))
    many = [4, 0, 3, 7, 9, 1, 2]
    together = everything(plan, many)
    for some in ([0, 3], [9, 0, 4], [1, 3, 4, 7, 2]):
        for found, expected in zip(everything(plan, some), together, strict=True):
            assert torch.equal(found, expected[[many.index(number) for number in some]])


@pytest.mark.parametrize("net", sorted(GATED))
def test_other_replicates_change_last_bits_where_there_is_a_sigmoid(make: Make, net: str) -> None:
    plan = plan_of(make(TASK, model={"net": net}, train={"precision": "float64", "batch_size": 50}))
    many = [4, 0, 3, 7, 9, 1, 2]
    together = everything(plan, many)
    for found, expected in zip(everything(plan, [9, 0, 4]), together, strict=True):
        assert (found - expected[[many.index(number) for number in (9, 0, 4)]]).abs().max() < 1e-6


@pytest.mark.parametrize("net", FUSABLE)
def test_fusable_nets_are_trusted(make: Make, net: str) -> None:
    equivalence_check.prove(plan_of(make(TASK, model={"net": net})), [0, 1])


@pytest.mark.parametrize("net", BREAKING)
def test_others_fall_back_with_the_reason_and_the_same_numbers(make: Make, net: str) -> None:
    project = make(TASK, model={"net": net})
    alone = project.measure([0, 1], "alone")
    answer = project.measure([0, 1], "asked", execution="fused")
    assert [one.execution for one in answer.replicates] == ["sequential"] * 2
    (note,) = answer.texts()
    assert "not fused" in note and BREAKING[net] in note
    assert not alone.texts()
    assert project.weights(1, "alone") == project.weights(1, "asked")


def test_frozen_parameters_stay_as_they_were(make: Make) -> None:
    project = make(TASK, model={"net": "frozen"})
    plan = plan_of(project)
    lanes = equivalence_check.fused(plan, [0, 1])
    before = lanes.weights(1)
    steps(plan, lanes, [0, 1], 10)
    after = lanes.weights(1)
    assert torch.equal(before["one.weight"], after["one.weight"])
    assert not torch.equal(before["one.bias"], after["one.bias"])


def test_a_wrong_twin_is_not_trusted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(make(TASK))
    real = equivalence_check.Fused.differentiate

    def off(self: equivalence_check.Fused, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = real(self, inputs, targets)
        self.grad[1, 5] += self.grad.norm() * 1e-3
        return losses

    monkeypatch.setattr(equivalence_check.Fused, "differentiate", off)
    with pytest.raises(equivalence_check.NotFusable, match="gradient differs"):
        equivalence_check.prove(plan, [0, 1])


@pytest.mark.parametrize("execution", ["fused", "processes", "auto"])
def test_every_way_gives_the_same_group(make: Make, execution: str) -> None:
    project = make(TASK, train={"precision": "float64"})
    project.measure([0, 1, 2], "alone")
    answer = project.measure([0, 1, 2], "other", execution=execution)
    if execution != "auto":
        assert {one.execution for one in answer.replicates} == {execution}
    assert np.allclose(project.predictions("alone"), project.predictions("other"), atol=1e-6)
    assert answer.identity == project.measure([0], "one").identity
    curves = [(project.root / out / "curves.csv").read_text().splitlines() for out in ("alone", "other")]
    assert [line.split(",")[:3] for line in curves[0]] == [line.split(",")[:3] for line in curves[1]]


def test_processes_are_bitwise_the_sequential_ones(make: Make) -> None:
    project = make(TASK, model={"net": "convolution"})
    project.measure([0, 1, 2], "alone")
    project.measure([0, 1, 2], "processes", execution="processes")
    assert [project.weights(n, "alone") == project.weights(n, "processes") for n in range(3)] == [True] * 3


def test_a_diverging_lane_does_not_touch_the_others(make: Make) -> None:
    source = (
        TASK
        + """
    def augment(inputs, targets, generator):
        broken = torch.initial_seed() == int(os.environ["BREAK"])
        return inputs * (float("nan") if broken else 1.0), targets
    import os
    """
    )
    project = make(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAK", "-1")
        clean = project.measure([0, 1, 2], "clean", execution="fused")
        patch.setenv("BREAK", str(clean.replicates[1].seed))
        answer = project.measure([0, 1, 2], "broken", execution="fused")
    assert [one.execution for one in answer.replicates] == ["fused"] * 3
    assert [one.diverged is None for one in answer.replicates] == [True, False, True]
    assert answer.replicates[1].diverged.tensor == "loss" and answer.replicates[1].diverged.step == 1
    for number in (0, 2):
        assert project.weights(number, "clean") == project.weights(number, "broken")


def test_augmentation_on_global_generators_is_each_replicate_s_own(make: Make) -> None:
    source = (
        TASK
        + """
    import numpy as np
    def augment(inputs, targets, generator):
        shift = torch.randint(3, (1,), generator=generator) + random.randrange(2) + np.random.randint(2)
        return inputs.roll(int(shift + torch.randint(2, (1,))), -1), targets
    """
    )
    project = make(source, train={"precision": "float64"})
    project.measure([0, 1, 2], "alone")
    answer = project.measure([0, 1, 2], "fused", execution="fused")
    assert [one.execution for one in answer.replicates] == ["fused"] * 3
    assert np.allclose(project.predictions("alone"), project.predictions("fused"), atol=1e-9)


def test_out_of_memory_halves_the_chunk(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(TASK)
    project.measure([0, 1, 2, 3, 4, 5], "whole", execution="fused")
    real = equivalence_check.Fused.differentiate

    def tight(self: equivalence_check.Fused, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.lanes > 2:
            raise torch.OutOfMemoryError("no more")
        return real(self, inputs, targets)

    monkeypatch.setattr(equivalence_check.Fused, "differentiate", tight)
    answer = project.measure([0, 1, 2, 3, 4, 5], "cut", execution="fused")
    assert [one.execution for one in answer.replicates] == ["fused"] * 6
    for number in range(6):
        assert project.weights(number, "whole") == project.weights(number, "cut")
