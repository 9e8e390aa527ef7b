"""Device, precision and determinism: switched on as asked, put back as found, without a GPU at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from miniature import Make
from test_fused import plan_of
from zoo import FUSABLE, TASK

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.schemas import Measurement, Note
from assay.replicates import assemble_measurement
from assay.replicates import train_and_eval_examples as samples
from assay.training import autotune_execution, device, memory_estimate, thread_count
from assay.training.batches import Feed, Tensors
from assay.training.vmap import equivalence_check
from assay.training.vmap.vmap_engine import Fused

SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(make: Make) -> None:
    with pytest.raises(
        UsageError, match=r"machine\.device is 'cuda:1' but torch sees no CUDA device; allowed: auto, cpu"
    ):
        make().measure([0], device="cuda:1")
    assert device.choose("auto") == torch.device("cpu")


def test_determinism_is_recorded_and_put_back() -> None:
    with device.determinism(True) as offending:
        assert torch.are_deterministic_algorithms_enabled()
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
    assert offending == ["put_"]
    assert not torch.are_deterministic_algorithms_enabled()
    with device.determinism(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_kernel_is_in_the_answer(make: Make) -> None:
    source = (
        TASK
        + """
    def augment(inputs, targets, generator):
        return inputs.clone().put_(torch.tensor([0]), torch.tensor([1.0])), targets
    """
    )
    project = make(source)
    assert project.measure([0]).nondeterministic == ["put_"]
    assert project.measure([0, 1], execution="processes").nondeterministic == ["put_"]
    project.set(train={"deterministic": False})
    assert project.measure([0]).nondeterministic == []


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_used_exactly_where_asked(precision: str) -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with device.products(precision):
        inside = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert inside == (precision == "tf32",) * 2
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_bfloat16_trains_close_to_float32(make: Make, execution: str) -> None:
    project = make(TASK, model={"net": "convolution"}, train={"epochs": 4})
    project.measure([0, 1], "whole")
    project.set(train={"precision": "bfloat16"})
    answer = project.measure([0, 1], "half", execution=execution)
    assert [one.execution for one in answer.replicates] == [execution] * 2 and not answer.texts()
    difference = np.abs(project.predictions("half") - project.predictions("whole"))
    assert 0 < difference.mean() < 0.05


def test_what_does_not_compile_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        def call(*arguments: object) -> object:
            raise RuntimeError("no compiler here\nand more")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    compiled = device.Compiled(lambda x: x + 1)
    assert compiled(1) == 2 and compiled(2) == 3
    assert compiled.failed == "RuntimeError: no compiler here and more"


@pytest.mark.parametrize("execution", ["sequential", "fused"])
def test_a_compiled_step_reports_its_warm_up_apart(make: Make, monkeypatch: pytest.MonkeyPatch, execution: str) -> None:
    project = make(TASK, machine={"compile": False})
    project.measure([0, 1], "plain", execution=execution)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    project.set(machine={"compile": True})
    project.measure([0, 1], "compiled", execution=execution)
    assert "compiled, with its first step, in" in (project.root / "compiled" / "train.log").read_text()
    assert np.allclose(project.predictions("plain"), project.predictions("compiled"), atol=1e-6)


@pytest.mark.parametrize("net", FUSABLE)
def test_a_chunk_takes_at_most_its_share_of_memory_for_each_lane(make: Make, net: str) -> None:
    plan = plan_of(make(TASK, model={"net": net}))
    numbers = list(range(8))
    feed = Feed(plan.task, plan.train, 32, [plan.streams(number) for number in numbers])
    inputs, targets = next(feed.epoch(1))
    one, lanes = equivalence_check.alone(plan, 0), equivalence_check.fused(plan, numbers)
    kept = memory_estimate.activations(one, inputs[:1], targets[:1])
    single = memory_estimate.per_replicate(one, kept)
    together = memory_estimate.activations(lanes, inputs, targets) + 8 * memory_estimate.per_replicate(lanes, 0)
    assert kept > 0
    assert together <= 1.2 * 8 * single


def test_chunks_follow_from_memory(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(TASK)
    plan = plan_of(project)
    one = equivalence_check.alone(plan, 0)
    inputs, targets = next(Feed(plan.task, plan.train, 32, [plan.streams(0)]).epoch(1))
    row = memory_estimate.per_replicate(one, memory_estimate.activations(one, inputs, targets))
    monkeypatch.setattr(memory_estimate, "available", lambda where: int(row * 3.5 / memory_estimate.HOST_SHARE))
    answer = project.measure([0, 1, 2, 3, 4, 5], execution="fused")
    assert {one.execution for one in answer.replicates} == {"fused"}
    assert "replicates train 3 at a time" in (project.root / "out" / "train.log").read_text()
    monkeypatch.setattr(memory_estimate, "available", lambda where: row)
    answer = project.measure([0, 1, 2], execution="fused")
    assert {one.execution for one in answer.replicates} == {"sequential"}
    assert "two do not fit" in answer.texts()[0]


@pytest.mark.parametrize(
    ("count", "largest", "sizes"), [(10, 4, [4, 3, 3]), (10, 10, [10]), (3, 0, [1, 1, 1]), (1, 5, [1])]
)
def test_chunks_are_even_and_keep_the_order(count: int, largest: int, sizes: list[int]) -> None:
    made = memory_estimate.chunks(range(count), largest)
    assert [len(chunk) for chunk in made] == sizes and list(chain(*made)) == list(range(count))


def test_threads_follow_from_the_model_alone(make: Make) -> None:
    plan = plan_of(make(TASK, train={"batch_size": 32}))
    assert thread_count.multiply_adds(plan) == 32 * (64 * 24 + 24 * 10)
    before = torch.get_num_threads()
    with thread_count.threads(plan):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_training_never_imports_the_compiler(make: Make) -> None:
    project = make()
    file = project.root / "request.json"
    file.write_bytes(msgspec.json.encode(project.request([0, 1, 2], execution="auto")))
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\nfrom pathlib import Path\nimport msgspec\n"
        "from assay.training.train_and_predict import measure\nfrom assay.core.schemas import MeasureRequest\n"
        f"request = msgspec.json.decode(Path({str(file)!r}).read_bytes(), type=MeasureRequest)\n"
        f"measure(request, Path({str(project.root)!r}))\n"
        "unwanted = ('torch._dynamo', 'torch._inductor', 'sympy', 'scipy', 'sklearn')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


GPU = torch.device("cuda", 1)


def test_how_busy_a_gpu_is_comes_from_torch_and_never_ends_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NVML raises, e.g. for a share of a GPU, is no RuntimeError."""

    class NVMLError(Exception):
        pass

    def fails(error: Exception) -> Callable[[torch.device], int]:
        def ask(asked: torch.device) -> int:
            raise error

        return ask

    monkeypatch.setattr(torch.cuda, "utilization", lambda asked: 37 if asked == GPU else 0)
    with device.metered() as readings, device.metered() as others:
        assert device.utilisation(GPU) == 37 and device.utilisation(torch.device("cpu")) is None
        for error in (NVMLError("not supported"), RuntimeError("no driver"), ModuleNotFoundError("pynvml")):
            monkeypatch.setattr(torch.cuda, "utilization", fails(error))
            assert device.utilisation(GPU) is None
    device.utilisation(GPU)
    assert readings == others == [37]


def test_the_package_that_knows_is_named_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    (note,) = device.unmetered(GPU)
    assert "nvidia-ml-py" in note.text and "pip install nvidia-ml-py" in note.text
    assert device.unmetered(torch.device("cpu")) == []
    monkeypatch.setattr(device, "find_spec", lambda name: object() if name == "pynvml" else None)
    assert device.unmetered(GPU) == []


def test_mean_utilisation_is_in_log_and_record_also_from_the_cache(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading an epoch; the note on the missing package stands where there was none."""
    readings = iter([80, 60, 10, 21, 1])
    monkeypatch.setattr(device, "_busy", lambda where: next(readings))
    monkeypatch.setattr(device, "unmetered", lambda where: [Note("no package")])
    project = make()
    cache = str(project.root / "cache")
    for _ in ("trained", "at hand"):
        answer = project.measure([0, 1], cache=cache)
        assert answer.utilisation == 42.8 and answer.texts() == []
    asked = project.request([0, 1], cache=cache)
    settings = assemble_measurement.requested(asked, project.root)
    kept = assemble_measurement.at_hand(asked, settings, samples.read(asked, settings))
    assert (
        kept is not None
        and assemble_measurement.write_kept(asked, settings, samples.read(asked, settings), kept) == answer
    )
    assert "accelerator 42.8 % busy on average, peak memory " in (project.root / "out/train.log").read_text()

    monkeypatch.setattr(device, "_busy", lambda where: None)
    blind = project.measure([2], cache=cache)
    assert blind.utilisation is None and blind.texts() == ["no package"]
    monkeypatch.setattr(device, "unmetered", lambda where: pytest.fail("nothing trained"))
    assert project.measure([2], cache=cache).texts() == ["no package"]


def test_an_answer_that_does_not_know_utilisation_is_read(make: Make) -> None:
    """Accepted strategies answer with the code that they were accepted with."""
    project = make()
    answer = project.measure([0])
    raw = json.loads((project.root / "out/answer.json").read_text())
    assert raw.pop("utilisation", "missing") is None
    assert schemas.decode(json.dumps(raw).encode(), Measurement, "an old answer") == answer


def test_peak_memory_is_that_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda asked: 5 if asked == GPU else 0)
    assert device.peak_memory(GPU) == 5 and device.peak_memory(torch.device("cpu")) > 2**20


def test_data_that_do_not_fit_stay_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Tensors(torch.zeros(10, 4), torch.zeros(10, dtype=torch.int64))
    size, place = 10 * 4 * 4 + 10 * 8, torch.device("meta")
    monkeypatch.setattr(memory_estimate, "available", lambda where: 2 * size)
    assert data.to(place).inputs.device == place
    monkeypatch.setattr(memory_estimate, "available", lambda where: 2 * size - 2)
    kept = data.to(place)
    assert (kept.inputs.device, kept.place) == (torch.device("cpu"), place)


def test_a_container_leaves_less_memory_than_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    here = memory_estimate.available(torch.device("cpu"))
    monkeypatch.setattr(memory_estimate.container_limits, "memory", lambda: float(2**20))
    assert memory_estimate.available(torch.device("cpu")) == 2**20 < here
    assert memory_estimate.room(torch.device("cpu")) == int(memory_estimate.HOST_SHARE * 2**20)


def test_a_forward_pass_takes_no_more_examples_than_two_batches(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are evaluated: it is to take less memory than training does."""
    seen: list[int] = []

    def watched(name: str) -> None:
        real = getattr(Fused, name)

        def watch(engine: Fused, inputs: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
            if engine.lanes == 3:  # the proof takes two
                seen.append(len(inputs))
            return torch.as_tensor(real(engine, inputs, *more))

        monkeypatch.setattr(Fused, name, watch)

    watched("losses")
    watched("forward")
    project = make(TASK, train={"batch_size": 5})
    project.measure([0, 1, 2], execution="fused")
    assert len(seen) > 4 and max(seen) == 10
    assert sum(seen) % project.predictions("out").shape[1] == 0, "all of them, each time"


@pytest.mark.parametrize(("room", "at_once"), [(7, 3), (6, 1)])
def test_ways_are_timed_side_by_side_where_all_fit(
    make: Make, monkeypatch: pytest.MonkeyPatch, room: int, at_once: int
) -> None:
    alive: list[int] = [0, 0]

    class Timed:
        seconds = 1.0

        def __init__(self, *_asked: object) -> None:
            alive[0] += 1
            alive[1] = max(alive)

        def step(self) -> None: ...

        def __del__(self) -> None:
            alive[0] -= 1

    monkeypatch.setattr(autotune_execution, "_Timed", Timed)
    assert autotune_execution._times(plan_of(make(TASK)), range(4), [1, 2, 4], room) == {1: 1.0, 2: 1.0, 4: 1.0}
    assert alive == [0, at_once]
