"""`assay work` in a real project: the price, workers, and a run that finds all sealed and only evaluates."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from assay.commands import work_plan, work_price, work_status, work_text
from assay.commands.work_plan import WorkPlan
from assay.commands.work_status import LaunchState, WorkState
from assay.core.errors import UsageError
from assay.core.work_records import Launch, SharedPaths
from assay.runtime import shared_files
from support import toy_requests
from support.project import Project

SETTING = ("-S", "lr=0.02")


def work(project: Project, *arguments: str, ok: bool = True, **env: str):
    return project.assay("work", *arguments, ok=ok, **env)


def sealed(project: Project, count: int, seconds: float = 240, **env: str) -> dict:
    """`assay work status --json` once `count` replicates are sealed."""
    end = time.monotonic() + seconds
    while True:
        found = json.loads(work(project, "status", "--json", **env).stdout)
        last = found["launches"][-1]
        if last["sealed"] == count:
            return last
        assert time.monotonic() < end, f"{last} {work(project, 'status', **env).stdout}"
        time.sleep(1)


def test_without_a_shared_folder_it_says_how_to_name_one(fresh: Project) -> None:
    said = work(fresh, *SETTING, ok=False)
    assert said.returncode == 2 and "git config assay.shared" in said.stderr
    said = work(fresh, *SETTING, "--shared", "here", ok=False)
    assert said.returncode == 2 and "no absolute path" in said.stderr


def test_groups_are_fixed_whatever_the_number_of_machines() -> None:
    assert work_plan.groups(range(5, 20), "fused", 1) == [[5, 6, 7], list(range(8, 16)), [16, 17, 18, 19]]
    assert work_plan.groups(range(3), "sequential", 2) == [[0, 1], [2]]
    assert [work_plan.worth(each) for each in (None, 0.5, 30.0, 3600.0)] == [1, 8, 2, 1]


def test_the_price_in_words(tmp_path: Path) -> None:
    _, requests = toy_requests.build(tmp_path, 24)
    plan = WorkPlan(tmp_path, "lr=1", "floor", requests, sealed=4, seconds=600.0)
    assert work_price.lines(plan, 8, 2.5) == [
        "price: 24 trainings of the candidate in 24 requests, 8 at a time (4 replicates are sealed already); "
        "measured at 6e+02 s each: 30 min 0 s, 4 processor hours, 10.00 at 2.5 an hour"
    ]
    unknown = WorkPlan(tmp_path, "lr=1", "floor", requests[:1], sealed=0)
    assert work_price.lines(unknown, 8, None)[0].endswith("how long one takes is not known yet")
    assert "only evaluates" in work_price.lines(WorkPlan(tmp_path, "", "", [], 6), 1, None)[0]


def test_a_launch_that_is_sealed_names_the_run_that_finds_it(tmp_path: Path) -> None:
    """As a shell takes it, and without words of the label that are no setting."""
    settings = ["model.widths=[64, 32]", "lr=0.1"]
    launch = Launch(
        name="one",
        engine="local",
        settings=settings,
        label=" ".join([*settings, "your edits"]),
        submitted="",
        host="here",
        seconds=None,
        parallel=1,
        jobs=[],
    )
    found = WorkState(str(tmp_path), [LaunchState(launch, [], sealed=3, replicates=3)])
    assert work_text.text(found).split("\n") == [
        "one on local (model.widths=[64, 32] lr=0.1 your edits): 3 of 3 replicates sealed",
        "  next: dvc exp run -S 'model.widths=[64, 32]' -S lr=0.1",
    ]
    with pytest.raises(UsageError, match="there is no launch 'two'"):
        work_status.logs(tmp_path, "two", tmp_path / "logs")


@pytest.mark.extra
def test_a_run_finds_all_sealed_and_only_evaluates(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    project.git("config", "assay.shared", str(shared))
    said = work(project, *SETTING, "--dry-run")
    assert "3 trainings of the candidate" in said.stderr and not shared.exists()
    before = project.git("status", "--porcelain")
    said = work(project, *SETTING, "--max-parallel", "2", "--each", "2", MY_TOKEN="goat")
    assert "submitted" in said.stderr and project.git("status", "--porcelain") == before
    last = sealed(project, 3)
    assert {one["arm"] for one in last["requests"]} == {"candidate"}, "the baseline was trained on this machine"
    assert stat.S_IMODE((shared / "launches" / last["name"]).stat().st_mode) == 0o700
    work(project, "logs", last["name"], str(tmp_path / "logs"))
    logs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(logs) == 3 and logs[0].startswith("candidate-0-")
    again = work(project, *SETTING)
    assert "nothing to train: all 6 replicates are sealed" in again.stderr
    project.dvc("exp", "run", *SETTING)
    assert "3 of 3 replicates were trained before and are used again" in project.read("results/candidate.log")
    assert project.metrics["n"] == 3


@pytest.mark.extra
def test_another_environment_is_refused_before_it_trains(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    project.git("config", "assay.shared", str(shared))
    work(project, *SETTING, "--device", "NVIDIA H200", "--each", "3")
    end = time.monotonic() + 240
    while time.monotonic() < end:
        (last,) = json.loads(work(project, "status", "--json").stdout)["launches"]
        if all(one["state"] == "failed" for one in last["requests"]):
            break
        time.sleep(1)
    assert last["requests"][0]["lines"], last
    assert "no CUDA device" in last["requests"][0]["lines"][-1] or "H200 asked for" in last["requests"][0]["lines"][-1]
    assert not shared_files.names(SharedPaths(shared).replicates)
    said = work(project, "status").stdout
    assert f"failed on {shared_files.host()}" in said and "assay work logs" in said


@pytest.mark.extra
def test_the_launcher_may_be_killed_and_the_work_cancelled(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    project.git("config", "assay.shared", str(shared))
    name = json.loads(work(project, *SETTING, "--each", "1", "--json").stdout)["name"]
    server = json.loads((SharedPaths(shared).jobs(name) / "server.json").read_bytes())
    os.kill(server["pid"], signal.SIGKILL)
    end = time.monotonic() + 240
    while any(one["state"] in ("queued", "running") for one in _requests(project)):
        assert time.monotonic() < end
        time.sleep(1)
    assert any(one["state"] == "lost" for one in _requests(project)), "its workers are gone with it, or had not begun"
    said = work(project, *SETTING, "--each", "1")
    assert "submitted" in said.stderr
    assert "ended" in work(project, "cancel").stdout
    end = time.monotonic() + 30
    while any(one["state"] in ("queued", "running") for one in _requests(project)):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert work(project, "cancel", "nobody", ok=False).returncode == 2


def _requests(project: Project) -> list[dict]:
    return json.loads(work(project, "status", "--json").stdout)["launches"][-1]["requests"]
