"""Workers at requests whose training is a script that sleeps: each replicate once, whoever is killed when."""

from __future__ import annotations

import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from assay.core import schemas
from assay.core.errors import UsageError
from assay.core.work_records import SharedPaths, WorkFailure, WorkRequest
from assay.replicates import shared_entries
from assay.runtime import leases, library_fingerprint, shared_files
from assay.work import requeued_job, run_request, worker_environment
from support import toy_requests


def done(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    return [process.wait(60) for process in processes]


def failures(shared: Path, request: WorkRequest) -> list[WorkFailure]:
    folder = SharedPaths(shared).failures(request.id)
    return [schemas.decode((folder / name).read_bytes(), WorkFailure, name) for name in shared_files.names(folder)]


@pytest.mark.extra
def test_two_launchers_at_once_train_each_replicate_once(tmp_path: Path) -> None:
    shared, requests = toy_requests.build(tmp_path, 3)
    codes = done([toy_requests.worker(shared, one.id, 0.1) for one in requests for _ in range(2)])
    assert set(codes) == {0}
    seen = toy_requests.trainings(shared)
    assert {len(each) for each in seen.values()} == {1} and len(seen) == 3
    assert all(toy_requests.is_right(shared, toy_requests.entry(number)) for number in range(3))
    made = shared_entries.made_by(SharedPaths(shared).entry(toy_requests.entry(0)))
    assert [one.host for one in made] == [shared_files.host()]
    assert not shared_files.names(shared / "leases"), "leases are given back"


@pytest.mark.parametrize("restarts", ["0", "1"])
def test_a_job_that_slurm_starts_again_waits_for_the_lease_of_its_lost_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarts: str
) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    place = SharedPaths(shared).leases(toy_requests.entry(0))
    place.mkdir(parents=True)
    left = {"token": "x", "host": "lost", "seconds": 1.0, "request": request.id}
    shared_files.write(place / "1", json.dumps(left).encode())
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    assert toy_requests.here(shared, request.id, lease=1) == 0
    assert len(toy_requests.trainings(shared)) == int(restarts), "without a restart it is left to whoever holds it"


def test_a_job_that_slurm_starts_again_leaves_to_the_living_what_they_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    ages = iter([2.0, 5.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(leases, "holder", lambda *_: leases.LeaseHolder("alive", next(ages), request.id))
    said: list[str] = []
    requeued_job.wait_for_lost([SharedPaths(shared).leases("entry")], request.id, 1.0, said.append)
    assert next(ages) == 1.0 and len(said) == 1


def test_what_is_sealed_is_not_trained_again(tmp_path: Path) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 2, each=2)
    assert toy_requests.here(shared, request.id) == 0
    assert toy_requests.here(shared, request.id) == 0
    assert {len(each) for each in toy_requests.trainings(shared).values()} == {1}


def test_a_failing_replicate_stops_no_other_and_is_named(tmp_path: Path, monkeypatch) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 3, each=3)
    monkeypatch.setenv("TOY_FAILS", toy_requests.entry(1))
    assert toy_requests.here(shared, request.id) == 7
    assert [toy_requests.is_right(shared, toy_requests.entry(number)) for number in range(3)] == [True, False, True]
    (failure,) = failures(shared, request)
    assert failure.numbers == [1] and failure.host == shared_files.host()
    assert failure.lines[-1] == "ValueError: the loss is a goat"
    log = SharedPaths(shared).logs(request.id) / f"1-{shared_files.host()}.log"
    assert b"a goat" in log.read_bytes()


@pytest.mark.extra
def test_asked_to_end_it_gives_back_what_it_holds(tmp_path: Path) -> None:
    """As `assay work cancel` and a preempting scheduler do: the next worker need not wait for an expiry."""
    shared, (request,) = toy_requests.build(tmp_path, 1)
    process = toy_requests.worker(shared, request.id, 60)
    wait_until(lambda: toy_requests.trainings(shared))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == run_request.ENDED
    assert leases.holder(SharedPaths(shared).leases(toy_requests.entry(0))) is None
    assert done([toy_requests.worker(shared, request.id, 0)]) == [0]


def wait_until(true, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.extra
def test_a_worker_that_comes_back_with_its_bytes_is_no_harm(tmp_path: Path) -> None:
    """It was stopped, its lease expired, another trained: both put the same entry there."""
    shared, (request,) = toy_requests.build(tmp_path, 1)
    late = toy_requests.worker(shared, request.id, 0.5, lease=1)
    wait_until(lambda: toy_requests.trainings(shared))
    late.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    assert done([toy_requests.worker(shared, request.id, 0, lease=1)]) == [0]
    late.send_signal(signal.SIGCONT)
    assert late.wait(20) == 0
    assert toy_requests.is_right(shared, toy_requests.entry(0)) and not shared_entries.unequal(shared)


@pytest.mark.extra
def test_two_entries_of_one_request_with_other_bytes_are_set_aside(tmp_path: Path, monkeypatch) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    late = toy_requests.worker(shared, request.id, 0.5, lease=1)
    wait_until(lambda: toy_requests.trainings(shared))
    late.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    monkeypatch.setenv("TOY_SALT", "another kind of processor")
    monkeypatch.setenv("SLURMD_NODENAME", "gpu-7")
    assert done([toy_requests.worker(shared, request.id, 0, lease=1)]) == [0]
    late.send_signal(signal.SIGCONT)
    late.wait(20)
    (finding,) = shared_entries.unequal(shared)
    assert finding.hosts == tuple(sorted(("gpu-7", shared_files.host()))) or "gpu-7" in finding.hosts
    assert not shared_entries.has(shared, toy_requests.entry(0), toy_requests.EVALUATED)
    assert done([toy_requests.worker(shared, request.id, 0)]) == [3], "nobody's result, and not trained again"
    assert "made other bytes" in failures(shared, request)[0].lines[0]


def test_a_request_that_was_edited_is_refused(tmp_path: Path) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    path = SharedPaths(shared).request(request.id)
    path.write_bytes(path.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    with pytest.raises(UsageError, match="not the request that its name says"):
        run_request.read(shared, request.id)


def test_missing_data_are_named_before_anything_trains(tmp_path: Path) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    part = SharedPaths(shared).data(toy_requests.TRAIN)
    (part / "manifest.json").write_bytes((part / "manifest.json").read_bytes().replace(b"aaaa", b"cccc"))
    assert toy_requests.here(shared, request.id) == 2
    assert "holds the examples cccc" in failures(shared, request)[0].lines[0]
    assert not toy_requests.trainings(shared)


def test_no_secret_travels(monkeypatch) -> None:
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "HF_TOKEN",
        "WANDB_API_KEY",
        "SLURM_JWT_TOKEN",
        "MY_SETTING",
        "OMP_NUM_THREADS",
    ):
        monkeypatch.setenv(name, "x")
    found = worker_environment.allowed()
    assert {"PATH", "OMP_NUM_THREADS"} <= found.keys()
    assert not {name for name in found if "TOKEN" in name or "KEY" in name or name == "MY_SETTING"}
    assert worker_environment.allowed(["MY_SETTING"])["MY_SETTING"] == "x"


@pytest.mark.extra
def test_a_workers_folder_is_private(tmp_path: Path) -> None:
    shared, (request,) = toy_requests.build(tmp_path, 1)
    place = tmp_path / "local"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, toy_requests.__file__, str(shared), request.id, "0.5", "300"],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: list(place.glob("assay-work-*")))
    (folder,) = place.glob("assay-work-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert process.wait(20) == 0 and not list(place.iterdir())


def test_whoever_trains_ends_with_its_worker(tmp_path: Path) -> None:
    """Also where that was killed before the process that trains looked for the first time."""
    shared, (request,) = toy_requests.build(tmp_path, 1)
    worker = run_request.Worker(request, shared, print)
    gone = subprocess.Popen(["true"])
    gone.wait()
    task = msgspec.structs.replace(run_request._task(worker, [0], tmp_path, [tmp_path, tmp_path]), starter=gone.pid)
    (tmp_path / "task.json").write_bytes(schemas.encode(task))
    command = library_fingerprint.command("answer_request", str(tmp_path / "task.json"))
    assert subprocess.run(command, cwd=tmp_path).returncode == -signal.SIGKILL


@pytest.mark.extra
@pytest.mark.kill
def test_kills_at_any_moment_cost_time_alone(tmp_path: Path) -> None:
    """SIGKILL to workers, to what trains below them, in the middle of copying: the same bytes in the end."""
    shared, requests = toy_requests.build(tmp_path, 3)
    requests = toy_requests.under_fire(shared, requests, 8, seed=7, seconds=0.3)
    assert all(toy_requests.is_right(shared, one.entries[0]) for one in requests)
    for spans in toy_requests.trainings(shared).values():
        ended = sorted(span for span in spans if span[1] < float("inf"))
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(ended)), "two at once"
