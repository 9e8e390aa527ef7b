"""A replicate that leaves the finite numbers is named exactly, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from miniature import Make, Project
from test_fused import plan_of
from torch.utils._python_dispatch import TorchDispatchMode
from zoo import TASK

from assay.core.errors import AssayError
from assay.replicates.training_progress import Progress
from assay.training.nan_detection import Monitor
from assay.training.training_loop import Training
from assay.training.vmap import equivalence_check

# A task whose replicates break on demand: the replicate whose seed BREAK names, at step STEP.
BREAKING = """
    import os
    import torch
    from torch import nn
    class Model(nn.Module):
        def __init__(self, outputs):
            super().__init__()
            self.inner = nn.Linear(64, 8)
            self.outer = nn.Linear(8, outputs)
            self.step = 0
            self.seed = torch.initial_seed()
        def forward(self, x):
            breaks = torch.initial_seed() == int(os.environ.get("BREAK", -1))
            if self.training:
                self.step += 1
            hidden = self.inner(x.flatten(1))
            if breaks and self.step == 5 and os.environ["WHERE"] == "gradient":
                hidden = (hidden - hidden.detach() + 1e-30).sqrt() * 0 + (hidden * 0).abs().sqrt() + hidden
            out = self.outer(hidden.relu())
            if breaks and self.step == 5 and os.environ["WHERE"] == "loss":
                out = out * float("inf")
            if breaks and not self.training and os.environ["WHERE"] == "predictions":
                out = out * float("nan")
            return out
    def model(shape, outputs):
        return Model(outputs)
    def loss(outputs, targets):
        return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
    def preprocess(inputs):
        return inputs.float() / 16
"""


@pytest.mark.parametrize(
    ("where", "tensor", "step"),
    [("loss", "loss", 5), ("gradient", "gradient of inner.weight", 5), ("predictions", "predictions", 14)],
)
def test_one_replicate_breaks(make: Make, monkeypatch: pytest.MonkeyPatch, where: str, tensor: str, step: int) -> None:
    project = make(BREAKING)
    clean = project.measure([0, 1, 2], "clean")
    monkeypatch.setenv("BREAK", str(clean.replicates[1].seed))
    monkeypatch.setenv("WHERE", where)
    answer = project.measure([0, 1, 2], "broken")
    assert [one.diverged is None for one in answer.replicates] == [True, False, True]
    found = answer.replicates[1].diverged
    assert found is not None
    assert (found.epoch, found.step, found.tensor) == (1 if step == 5 else 2, step, tensor)
    clean_predictions, predictions = project.predictions("clean"), project.predictions("broken")
    assert np.array_equal(predictions[[0, 2]], clean_predictions[[0, 2]])
    assert np.isnan(predictions[1]).all()
    assert not (project.root / "broken/models/1.safetensors").exists()
    assert any("replicate 1" in line and tensor in line for line in project.report)


def test_a_parameter_that_overflows_is_named(make: Make) -> None:
    project = make(lr=1e38)
    project.set(train={"optimizer": "sgd", "clip": 1e20})
    with pytest.raises(AssayError, match=r"diverged at epoch 1, step [12]: \w"):
        project.measure([0])


# --- on a GPU: noticed without waiting for the device; its stream is one that does its work late ---


class Stream:
    """Work that a device was given and has not done: copies to the host, which are done when an event is waited for."""

    def __init__(self) -> None:
        self.work: list[Callable[[], object]] = []
        self.step = 0
        self.waited: list[int] = []  # steps between an event and whoever waits for it

    def pinned(self, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        stream = self

        class Pinned(torch.Tensor):
            def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
                assert non_blocking, "a blocking copy waits for the device"
                content, host = source.clone(), self.as_subclass(torch.Tensor)
                stream.work.append(lambda: host.copy_(content))
                return self

        return torch.zeros(shape, dtype=dtype).as_subclass(Pinned)

    def event(self) -> Event:
        return Event(self)


class Event:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def record(self) -> None:
        self.behind, self.step = len(self.stream.work), self.stream.step

    def synchronize(self) -> None:
        for work in self.stream.work[: self.behind]:
            work()
        self.stream.waited.append(self.stream.step - self.step)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    made, empty = Stream(), torch.empty
    monkeypatch.setattr(torch.cuda, "Event", made.event)

    def fake(*shape: object, pin_memory: bool = False, **more: object) -> torch.Tensor:
        return made.pinned(*shape, **more) if pin_memory else empty(*shape, **more)

    monkeypatch.setattr(torch, "empty", fake)
    return made


def training(project: Project, numbers: list[int]) -> Training:
    """Fresh lanes for `numbers` under a loop of their own."""
    plan = plan_of(project)
    progress = Progress(project.root / "curves.csv", project.root / "log", 1)
    engine = equivalence_check.fused(plan, numbers) if len(numbers) > 1 else equivalence_check.alone(plan, numbers[0])
    return Training(plan, engine, numbers, progress)


#: what becomes not finite in lane 1 at the third step, and what must be named for it
POISONED = {
    "loss": "loss",
    "gradient": "gradient of 4.weight",
    "parameter": "parameter 1.bias",
}


def poison(under: Training, where: str, lane: int = 1, at: int = 3) -> list[int]:
    """Break `lane` in step `at`; the list fills with the steps in which it had been noticed."""
    engine, real, look, noticed = under.engine, under.engine.differentiate, under.monitor.look, []

    def differentiate(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = real(inputs, targets).clone()
        if under.step == at:
            named = dict(zip(engine.layout.names, zip(engine.grads, engine.leaves, strict=True), strict=True))
            if where == "loss":
                losses[lane] = float("nan")
                engine.grad[lane] = float("nan")
            elif where == "gradient":
                named["4.weight"][0][lane, 0, 0] = float("inf")
            else:
                named["1.bias"][1].detach()[lane, 0] = float("inf")
        return losses

    def watched(epoch: int, step: int, losses: torch.Tensor) -> None:
        look(epoch, step, losses)
        if under.monitor.diverged[lane] is not None:
            noticed.append(step)

    engine.differentiate, under.monitor.look = differentiate, watched
    return noticed


def run(under: Training, stream: Stream | None = None) -> None:
    """To the end; with a stream as on a GPU."""
    under.monitor.cuda = stream is not None
    step = under.engine.step

    def counted(*arguments: object) -> torch.Tensor:
        if stream is not None:
            stream.step += 1
        return step(*arguments)

    under.engine.step = counted
    under.run()


@pytest.mark.parametrize("where", POISONED)
def test_what_leaves_the_finite_numbers_is_named_two_steps_later_at_most(
    make: Make, stream: Stream, where: str
) -> None:
    """With its own step and tensor, though it is read later; the lanes beside it end with the same bytes."""
    project = make(TASK, train={"epochs": 2, "batch_size": 32, "clip": 0.0})
    clean, broken = training(project, [0, 1, 2]), training(project, [0, 1, 2])
    run(clean)
    noticed = poison(broken, where)
    run(broken, stream)
    found = broken.monitor.diverged
    assert found[0] is None and found[2] is None and found[1] is not None
    assert (found[1].epoch, found[1].step, found[1].tensor) == (1, 3, POISONED[where])
    assert noticed[0] == 4, "one step later"
    assert len(stream.work) == broken.step, "each step copies once, into pinned memory"
    assert set(stream.waited) == {1, 0} and stream.waited.count(0) == 2, "only at the end of an epoch is it waited for"
    for lane in (0, 2):
        assert torch.equal(broken.engine.theta[lane], clean.engine.theta[lane])
        assert broken.curves[lane] == clean.curves[lane]
    assert not torch.equal(broken.engine.theta[1], clean.engine.theta[1]), "the test breaks nothing"


def test_a_lane_gone_bad_takes_no_gradients_any_more(make: Make, stream: Stream) -> None:
    under = training(make(TASK), [0, 1, 2])
    poison(under, "loss", at=2)
    run(under, stream)
    assert under.engine.freeze is not None and under.engine.freeze.tolist() == [False, True, False]
    assert not under.engine.grad[1].any() and under.engine.grad[0].any()


def test_a_training_ends_when_its_last_lane_is_gone(make: Make, stream: Stream) -> None:
    under = training(make(TASK), [0, 1])
    for lane in (0, 1):
        poison(under, "loss", lane)
    run(under, stream)
    assert under.step == 4


class NoReading(TorchDispatchMode):
    """Refuses what a GPU would have to be waited for: a tensor's value on the host."""

    def __torch_dispatch__(
        self, function: object, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        name = str(function)
        assert "_local_scalar_dense" not in name and "nonzero" not in name, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2]], ids=["sequential", "fused"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_nothing_is_read_inside_a_step(make: Make, stream: Stream, numbers: list[int], optimizer: str) -> None:
    train = {"optimizer": optimizer, "momentum": 0.9, "weight_decay": 0.1, "clip": 0.5, "schedule": "cosine"}
    under = training(make(TASK, train=train), numbers)
    engine, monitor = under.engine, under.monitor
    inputs, targets = next(under.feed.epoch(1))
    engine.step(inputs, targets, 0.01, 1)  # dropout sites are found once
    for cuda in (True, False):
        monitor.cuda = cuda
        with NoReading():
            losses = engine.step(inputs, targets, 0.01, 2)
            if cuda:
                monitor._queue(1, 2, losses)
            else:  # the host reads at once: the guard above does see it
                with pytest.raises(AssertionError, match="_local_scalar_dense"):
                    monitor.look(1, 2, losses)


def test_the_monitor_of_an_engine_on_a_gpu_queues(make: Make) -> None:
    class OnGpu:
        lanes = 2
        theta = type("Theta", (), {"device": torch.device("cuda", 1)})

    assert Monitor(OnGpu()).cuda and not Monitor(training(make(TASK), [0, 1]).engine).cuda  # type: ignore[arg-type]
