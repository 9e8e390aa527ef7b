"""Code that is meant for a GPU, executed without one: generators, layout, compiler, memory.

Divergence on a GPU is in `test_divergence`, precision and utilisation in `test_device`. Not covered: what only the
hardware can show, which is speed, and whether its kernels are right.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from miniature import Make
from test_fused import plan_of, steps
from zoo import TASK

from assay.core.errors import UsageError
from assay.training import device, memory_estimate, random_streams, state_serialization
from assay.training.batches import Feed
from assay.training.random_streams import Globals
from assay.training.vmap import equivalence_check

SOURCE = Path(__file__).parents[2] / "src"
GPU = torch.device("cuda", 1)


# --- global generators ---


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> torch.Generator:
    """Stands in for the global generator of a GPU that is in use; a task finds it as `torch.cuda.standin`."""
    made = torch.Generator()
    monkeypatch.setattr(random_streams, "_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", made.manual_seed)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [made.get_state()])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: made.set_state(states[0]))
    monkeypatch.setattr(torch.cuda, "standin", made, raising=False)
    return made


def test_a_gpus_generator_is_seeded_kept_compared_and_put_back(generator: torch.Generator) -> None:
    random_streams.seed_globals(5)
    first = torch.rand(3, generator=generator)
    before = Globals()
    with random_streams.untouched():
        second = torch.rand(3, generator=generator)
        assert before != Globals(), "a draw from the GPU's generator alone must be seen"
    assert before == Globals() and torch.equal(torch.rand(3, generator=generator), second)
    Globals.of(
        state_serialization.unpack(state_serialization.pack(before.state()))
    ).restore()  # as a checkpoint keeps it
    assert torch.equal(torch.rand(3, generator=generator), second)
    random_streams.seed_globals(5)
    assert torch.equal(torch.rand(3, generator=generator), first) and not torch.equal(first, second)


def test_lanes_swap_the_gpus_generator_around_augment(make: Make, generator: torch.Generator) -> None:
    """Each lane sees what it would see alone."""
    source = (
        TASK
        + """
    def augment(inputs, targets, own):
        return inputs + torch.rand(1, generator=torch.cuda.standin), targets
    """
    )
    plan = plan_of(make(source))

    def batches(numbers: list[int]) -> list[torch.Tensor]:
        for number in numbers[:1]:
            random_streams.seed_globals(plan.streams(number).display)
        feed = Feed(plan.task, plan.train, 32, [plan.streams(number) for number in numbers])
        return [inputs for inputs, _ in feed.epoch(1)]

    together = batches([0, 1, 2])
    for lane in range(3):
        for many, one in zip(together, batches([lane]), strict=True):
            assert torch.equal(many[lane], one[0])


def test_a_forward_pass_that_draws_from_the_gpus_generator_is_not_fused(make: Make, generator: torch.Generator) -> None:
    source = TASK.replace("def loss(outputs, targets):", "def loss(outputs, targets):\n        noise()", 1)
    source += """
    def noise():
        torch.cuda.standin.manual_seed(3)  # a draw itself would be refused by torch first
    """
    (note,) = make(source).measure([0, 1, 2], execution="fused").texts()
    assert "not fused: the forward pass draws from the global generators" in note


# --- layout, compiler ---


class OnGpu(torch.Tensor):
    """Numbers of the host that say they are on a GPU."""

    is_cuda = True


def test_images_of_a_half_precision_step_on_a_gpu_lie_channels_last() -> None:
    images = torch.rand(2, 3, 4, 4)
    there = images.as_subclass(OnGpu)
    made = device.arranged(there, "bfloat16")
    assert made.is_contiguous(memory_format=torch.channels_last) and not made.is_contiguous()
    assert torch.equal(made.as_subclass(torch.Tensor), images)
    for inputs, precision in ((images, "bfloat16"), (there, "float32"), (there[0], "bfloat16")):
        assert device.arranged(inputs, precision) is inputs


def test_a_replicate_alone_trains_on_arranged_batches(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And learns the same from them: a layout is no number."""
    project = make(TASK.replace("nn.Unflatten(1, (1, 8)), ", ""), model={"net": "convolution"})
    plan = plan_of(project)
    images = replace(plan, train=replace(plan.train, inputs=plan.train.inputs[:, None]))
    seen = []

    def arranged(inputs: torch.Tensor, precision: str) -> torch.Tensor:
        seen.append((inputs.ndim, precision))
        return inputs.contiguous(memory_format=torch.channels_last)

    plain = steps(images, equivalence_check.alone(images, 0), [0], 7)
    monkeypatch.setattr(device, "arranged", arranged)
    there = steps(images, equivalence_check.alone(images, 0), [0], 7)
    assert seen == [(4, "float32")] * 7
    assert torch.allclose(plain, there, atol=1e-4)


@pytest.mark.extra  # a compiler runs for half a minute
def test_a_step_really_compiles(make: Make) -> None:
    """By torch's own compiler, in a process of its own, which keeps it out of this one."""
    source = """
        from torch import nn
        def model(shape, outputs):
            return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))
        def loss(outputs, targets):
            return -outputs.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).mean()
        def preprocess(inputs):
            return inputs.float() / 16
    """
    project = make(source, examples=64)
    project.measure([0], "plain")
    project.set(machine={"compile": True})
    file = project.root / "request.json"
    file.write_bytes(msgspec.json.encode(project.request([0], "compiled")))
    code = (
        "import sys\nfrom pathlib import Path\nimport msgspec\nfrom assay.training.train_and_predict import measure\n"
        "from assay.core.schemas import MeasureRequest\nfile = Path(sys.argv[1])\n"
        "measure(msgspec.json.decode(file.read_bytes(), type=MeasureRequest), file.parent)\n"
    )
    env = {"PYTHONPATH": str(SOURCE), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, env=os.environ | env)
    log = (project.root / "compiled/train.log").read_text()
    if "not compiled: " in log:
        pytest.skip(log)  # no compiler for C++ on this machine: then it says so, and trains
    assert "compiled, with its first step, in" in log
    assert np.allclose(project.predictions("plain"), project.predictions("compiled"), atol=1e-6)


# --- data and memory ---


def test_free_memory_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda asked: (7, 9) if asked == GPU else (0, 0))
    assert memory_estimate.available(GPU) == 7 and memory_estimate.available(torch.device("cpu")) > 2**20


@pytest.mark.parametrize("free", ["all of it fits", "too little"])
def test_batches_arrive_on_the_device_wherever_the_data_stay(
    make: Make, monkeypatch: pytest.MonkeyPatch, free: str
) -> None:
    """On a device that has shapes and no numbers: whatever touched a value of it on the host would fail."""
    plan = plan_of(make(TASK))
    place = torch.device("meta")
    size = plan.train.inputs.nbytes + plan.train.targets.nbytes
    monkeypatch.setattr(
        memory_estimate, "available", lambda where: 2 * size if free == "all of it fits" else 2 * size - 2
    )
    data = plan.train.to(place)
    assert data.inputs.device.type == ("meta" if free == "all of it fits" else "cpu")
    found = list(Feed(plan.task, data, 32, [plan.streams(0), plan.streams(1)]).epoch(1))
    assert [inputs.shape[:2] for inputs, _ in found] == [(2, 32)] * 6 + [(2, 8)]
    assert {one.device.type for pair in found for one in pair} == {"meta"}


def test_auto_takes_the_first_gpu_and_a_number_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.choose("auto") == device.choose("cuda") == torch.device("cuda", 0)
    assert device.choose("cuda:1") == GPU and device.choose("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match=r"machine\.device is 'cuda:2'; allowed: cuda:0 to cuda:1"):
        device.choose("cuda:2")
