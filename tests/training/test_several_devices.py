"""`machine.devices`: replicates over places, a process each; their bytes follow from fixed groups alone.

There is no GPU here: places are cores that processes are pinned to, and lists of GPUs that nvidia-smi is made to tell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from miniature import Make
from zoo import TASK

from assay.core import params_yaml
from assay.core.errors import AssayError, UsageError
from assay.runtime import accelerators, device_places
from assay.runtime.device_places import DevicePlace
from assay.training import device, device_processes, worker_processes
from assay.training.device_processes import WorkPiece

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
LAST = CORES[-1]
#: its last lane's last bits depend on how many lanes there are (docs/design/training.md)
SIGMOID = {"net": "sequence"}

needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned and copied on Linux only")


@pytest.fixture(autouse=True)
def _copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "forks", lambda: sys.platform == "linux")


def test_groups_are_fixed_and_travel_whole() -> None:
    assert device_processes.groups(range(5, 18)) == [[5, 6, 7], [*range(8, 16)], [16, 17]]
    assert device_processes.pieces(range(10), [1, 9], together=True) == [
        WorkPiece([*range(8)], [1]),
        WorkPiece([8, 9], [9]),
    ]
    assert device_processes.pieces(range(10), [1, 9], together=False) == [
        WorkPiece([1], [1], 1),
        WorkPiece([9], [9], 1),
    ]


@needs_fork
def test_bytes_do_not_depend_on_the_number_of_devices(make: Make) -> None:
    project = make(TASK, model=SIGMOID)
    for out, devices in (("one", [LAST]), ("two", [CORES[0], LAST]), ("four", [LAST] * 4)):
        answer = project.measure([*range(10)], out, execution="fused", devices=devices)
        assert {one.execution for one in answer.replicates} == {"fused"}
    for number in range(10):
        assert project.weights(number, "one") == project.weights(number, "two") == project.weights(number, "four")
    said = (project.root / "two" / "train.log").read_text()
    assert f"devices: core {CORES[0]}, core {LAST}; replicates train in lanes of fixed groups of 8" in said


@needs_fork
def test_what_was_interrupted_is_trained_as_it_would_have_been(make: Make) -> None:
    """The whole group again, of which only what was missing is kept."""
    project = make(TASK, model=SIGMOID)
    given = {"execution": "fused", "devices": [LAST, LAST], "cache": str(project.root / "cache")}
    project.measure([*range(8)], "whole", **given | {"cache": ""})
    seen = project.measure([5, 6, 7], "some", **given)
    answer = project.measure([*range(8)], "rest", **given)
    assert [one.reused for one in answer.replicates] == [False] * 5 + [True] * 3
    assert len(seen.replicates) == 3
    for number in range(5):
        assert project.weights(number, "rest") == project.weights(number, "whole")


@needs_fork
def test_each_process_has_its_core_and_one_thread(make: Make, tmp_path: Path) -> None:
    source = (
        TASK
        + f"""
    import os
    def augment(inputs, targets, generator):
        with open({str(tmp_path / "seen")!r}, "a") as stream:
            print(sorted(os.sched_getaffinity(0)), torch.get_num_threads(), file=stream)
        return inputs, targets
    """
    )
    project = make(source, train={"epochs": 1})
    before = os.sched_getaffinity(0)
    answer = project.measure([0, 1, 2], execution="sequential", devices=[LAST])
    assert {one.execution for one in answer.replicates} == {"processes"}
    assert set((tmp_path / "seen").read_text().splitlines()) >= {f"[{LAST}] 1"}
    assert os.sched_getaffinity(0) == before


@needs_fork
def test_one_process_is_killed_and_the_others_finish(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        TASK
        + """
    import os, signal
    def augment(inputs, targets, generator):
        if int(torch.initial_seed()) % 2 == int(os.environ["ODD"]) and os.getpid() != int(os.environ["PARENT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return inputs, targets
    """
    )
    monkeypatch.setenv("PARENT", str(os.getpid()))
    monkeypatch.setenv("ODD", "1")
    project = make(source, train={"epochs": 1})
    given = {"execution": "sequential", "devices": [LAST] * 4, "cache": str(project.root / "cache")}
    with pytest.raises(AssayError, match=rf"the process on core {LAST} was killed; next: run the same command"):
        project.measure([*range(4)], **given)
    monkeypatch.setenv("ODD", "2")
    kept = [one.reused for one in project.measure([*range(4)], **given).replicates]
    assert kept.count(True) in (1, 2, 3)


@pytest.mark.extra
def test_a_fresh_process_makes_the_same_plan(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where a GPU is seen, or on a Mac."""
    project = make(TASK)
    project.measure([0, 1], "copied", execution="fused", devices=[LAST])
    monkeypatch.setattr(worker_processes, "forks", lambda: False)
    project.measure([0, 1], "fresh", execution="fused", devices=[LAST])
    assert project.weights(1, "copied") == project.weights(1, "fresh")


@needs_fork
def test_auto_decides_once_and_the_same_for_any_number(make: Make) -> None:
    project = make(TASK)
    given = {"execution": "auto", "cache": str(project.root / "cache")}
    first = project.measure([*range(4)], "first", devices=[LAST], **given)
    again = project.measure([*range(4)], "again", devices=[LAST, LAST], **given | {"code": "other"})
    assert {one.execution for one in first.replicates} == {one.execution for one in again.replicates}


LOOP = """
    import os, pathlib, time
    import torch

    def fit(params, data, seed, log):
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        print("cores", sorted(os.sched_getaffinity(0)), torch.get_num_threads(), data.device)
        if seed % 2 == int(os.environ.get("BAD", "2")):
            raise ValueError("as it was told")
        if meet := os.environ.get("MEET"):  # goes on once four are here
            pathlib.Path(meet, str(seed)).touch()
            until = time.monotonic() + 30
            while len(os.listdir(meet)) < 4:
                assert time.monotonic() < until, "the others never came"
                time.sleep(0.01)
        log(1, loss=model(data.train.inputs).sum().item())
        return model

    def preprocess(inputs):
        return inputs.float() / 16
"""


@pytest.mark.extra
@needs_fork
def test_loops_run_at_the_same_time_each_on_its_core(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(LOOP)
    project.measure([0, 1, 2, 3], "one")
    monkeypatch.setenv("MEET", str(tmp_path / "meet"))
    (tmp_path / "meet").mkdir()
    project.measure([0, 1, 2, 3], "four", devices=[LAST] * 4)
    for number in range(4):
        assert project.weights(number, "one") == project.weights(number, "four")
    rows = (project.root / "four" / "curves.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["0", "1", "2", "3"]
    said = (project.root / "four" / "train.log").read_text()
    assert said.count(f"| cores [{LAST}] 1 cpu") == 4


@pytest.mark.extra
@needs_fork
def test_a_loop_that_fails_stops_no_other(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make(LOOP)
    given = {"devices": [LAST, LAST], "cache": str(project.root / "cache")}
    monkeypatch.setenv("BAD", "1")
    with pytest.raises(UsageError, match="ValueError: as it was told"):
        project.measure([*range(6)], **given)
    monkeypatch.setenv("BAD", "2")
    found = project.measure([*range(6)], **given).replicates
    assert [one.reused for one in found] == [one.seed % 2 == 0 for one in found]
    assert {one.seed % 2 for one in found} == {0, 1}


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        (
            [4096],
            rf"machine\.devices names core 4096, which this process does not have; allowed: all, or some of {CORES[0]}",
        ),
        ([0, 4096], "names core 4096"),
    ],
)
def test_a_core_that_is_not_there_is_refused(make: Make, devices: list[int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make(TASK).measure([0], devices=devices)


@pytest.mark.parametrize("value", ["[]", "0", "some", "[-1]", "[a]", "{a: 1}", "[true]", "1.5"])
def test_what_is_no_list_of_devices_is_refused(value: str) -> None:
    base = f"lr: 0.1\nreplicates: 2\nseed: 1\nmetric: {{name: a}}\nmachine: {{devices: {value}}}\n"
    with pytest.raises(UsageError, match=r"machine\.devices"):
        params_yaml.load(base)


def test_one_gpu_and_a_list_exclude_each_other() -> None:
    with pytest.raises(UsageError, match=r"machine\.device is 'cuda:1', and machine\.devices is set"):
        device.places("cuda:1", [0])


A100, H100 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"
LISTED = f"""GPU 0: {A100} (UUID: GPU-aaa)
GPU 1: {A100} (UUID: GPU-bbb)
GPU 2: {H100} (UUID: GPU-ccc)
  MIG 1g.10gb     Device  0: (UUID: MIG-one)
  MIG 3g.40gb     Device  1: (UUID: MIG-two)
"""
Listed = Callable[[str], None]


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Lets nvidia-smi say so."""

    def say(text: str) -> None:
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
        accelerators._listed.cache_clear()

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return say


def test_gpus_are_told_with_their_instances(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(LISTED)
    assert [one.hardware for one in accelerators.visible()] == [
        A100,
        A100,
        f"{H100} MIG 1g.10gb",
        f"{H100} MIG 3g.40gb",
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,MIG-two")
    assert [one.uuid for one in accelerators.visible()] == ["GPU-bbb", "MIG-two"]
    for nothing in ("", "-1", "7,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert accelerators.visible() == []


def test_a_process_sees_its_gpu_alone(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(LISTED)
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 4)
    places = device.places("auto", [3, 0, 0])
    assert places == [DevicePlace(3, "MIG-two"), DevicePlace(0, "GPU-aaa"), DevicePlace(0, "GPU-aaa")]
    assert [one.number for one in device.places("cuda", "all")] == [0, 1, 2, 3]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    device_places.take(places[:1])
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-two"
    assert places[0].device == "cuda" and str(places[0]) == "GPU 3"
    with pytest.raises(UsageError, match=r"names GPU 7, .*; allowed: all, or some of 0, 1, 2"):
        device_places.find([7], ["a", "b", "c"])


def test_all_cores_are_those_that_a_container_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_places.parent_watch, "processors", lambda: 1)
    assert device.places("cpu", "all") == [DevicePlace(CORES[0])]
