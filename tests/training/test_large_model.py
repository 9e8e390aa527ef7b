"""`train.processes_per_replicate`: one replicate in several processes, which torchrun starts; gloo, on a CPU."""

from __future__ import annotations

import pytest
from miniature import Make

from assay.core import params_yaml
from assay.core.errors import AssayError, UsageError
from assay.runtime import device_places
from assay.runtime.device_places import Place

LOOP = """
    import os
    import torch
    import torch.distributed as dist

    def preprocess(inputs):
        return inputs.float() / 16

    def fit(params, data, seed, log):
        print("process", data.rank, "of", data.world_size, "on", data.device, os.environ["LOCAL_RANK"], seed)
        dist.init_process_group("gloo")
        if params["model"].get("fails") == data.rank:
            raise ValueError("as it was told")
        model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        shared = torch.tensor([float(data.rank + 1), float(model[1].weight.sum())])
        dist.all_reduce(shared)
        log(1, loss=shared[0], start=shared[1] / 2 - model[1].weight.sum(), rank=data.rank)
        (data.checkpoints / f"{data.rank}").touch()
        dist.destroy_process_group()
        return model if data.rank == 0 else None
"""


def test_it_belongs_to_the_strategy() -> None:
    base = "lr: 0.1\nreplicates: 2\nseed: 1\nmetric: {name: a}\n"
    plain = params_yaml.strategy(params_yaml.load(base))
    assert params_yaml.strategy(params_yaml.load(f"{base}train: {{processes_per_replicate: 1}}\n")) == plain
    two = params_yaml.strategy(params_yaml.load(f"{base}train: {{processes_per_replicate: 2}}\n"))
    assert two["train"]["processes_per_replicate"] == 2
    with pytest.raises(UsageError, match="processes_per_replicate is 0"):
        params_yaml.load(f"{base}train: {{processes_per_replicate: 0}}\n")


def test_a_task_without_a_loop_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match=r"processes_per_replicate is 2, and .* has no fit\(params, data, seed, log\)"):
        make(train={"processes_per_replicate": 2}).measure([0])


@pytest.mark.extra
def test_processes_share_a_replicate(make: Make) -> None:
    project = make(LOOP, train={"processes_per_replicate": 2})
    answer = project.measure([0, 1], cache=str(project.root / "cache"))
    said = (project.root / "out" / "train.log").read_text()
    for one in answer.replicates:
        for rank in (0, 1):
            assert f"process {rank} of 2 on cpu {rank} {one.seed}" in said
    header, *rows = (project.root / "out" / "curves.csv").read_text().splitlines()
    assert header.endswith("start,rank")
    assert [row.split(",")[3:] for row in rows] == [["3", "", "0", "0"]] * 2, "rank 0 alone is heard; starts are alike"
    assert project.weights(0) != project.weights(1)
    again = project.measure([0, 1], "again", cache=str(project.root / "cache"))
    assert [one.reused for one in again.replicates] == [True, True]


@pytest.mark.extra
def test_what_fails_in_one_process_is_told(make: Make) -> None:
    project = make(LOOP, model={"fails": 1}, train={"processes_per_replicate": 2})
    with pytest.raises(AssayError, match=r"process 1: .*ValueError: as it was told"):
        project.measure([0])


def test_replicates_take_teams_of_devices(make: Make) -> None:
    cores = [Place(number) for number in (0, 0, 1, 1, 2)]
    assert device_places.teams(cores, 2) == [cores[:2], cores[2:4]]
    assert device_places.teams(cores, 1) == [[one] for one in cores] and device_places.teams([], 2) == []
    project = make(LOOP, train={"processes_per_replicate": 2})
    with pytest.raises(UsageError, match=r"processes_per_replicate is 2, and machine\.devices names 1"):
        project.measure([0, 1], devices=[0])


@pytest.mark.extra
def test_a_check_runs_it_as_the_only_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")
    project = make(LOOP, train={"processes_per_replicate": 2})
    project.measure([0], execution="foreground")
    assert (project.root / "out" / "curves.csv").read_text().splitlines()[1].split(",")[3] == "1"
