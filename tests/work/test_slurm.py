"""`assay work --on slurm` on a real SLURM of two nodes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.core.work_records import SharedPaths
from assay.replicates import shared_entries
from assay.runtime import shared_files
from assay.work.engine_protocol import GONE, QUEUED, RUNNING, WorkOptions
from support import slurm, toy_requests

pytest.importorskip("submitit")
pytestmark = [pytest.mark.extra, pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing() or "-")]

from assay.work import slurm_engine  # noqa: E402


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    with slurm.cluster(folder / "cluster", more="MaxArraySize=4") as made:
        yield made


@pytest.fixture
def engine(cluster: slurm.Cluster, monkeypatch) -> slurm_engine.SlurmEngine:
    for name, value in cluster.variables.items():
        monkeypatch.setenv(name, value)

    def toy(request: str, shared: Path, options: WorkOptions) -> list[str]:
        return [sys.executable, toy_requests.__file__, str(shared), request, options.more.get("comment", "0.2"), "300"]

    monkeypatch.setattr(slurm_engine, "worker", toy)
    return slurm_engine.SlurmEngine()


def until(true, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.5)


def whole(shared: Path, requests) -> bool:
    return all(not shared_entries.missing(shared, one.entries, toy_requests.EVALUATED) for one in requests)


def test_both_nodes_train_and_more_jobs_than_an_array_takes(engine, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "goat")
    shared, requests = toy_requests.build(tmp_path, 6)
    options = WorkOptions(parallel=4)
    engine.check(options)
    folder = shared_files.private(tmp_path / "jobs")
    assert slurm_engine.largest_array() == 4
    jobs = engine.submit([one.id for one in requests], shared, folder, options)
    assert len(set(jobs)) == 6 and len({job.split("_")[0] for job in jobs}) == 2, "two arrays"
    until(lambda: whole(shared, requests))
    hosts = {
        made.host for one in requests for made in shared_entries.made_by(SharedPaths(shared).entry(one.entries[0]))
    }
    assert hosts == set(slurm.NODES)
    assert {len(each) for each in toy_requests.trainings(shared).values()} == {1}
    until(lambda: set(engine.poll(jobs, folder).values()) == {GONE})
    assert engine.logs(jobs[0], folder)
    assert not [path for path in folder.rglob("*") if path.is_file() and b"goat" in path.read_bytes()]


def test_cancelled_jobs_end_and_give_back_their_leases(engine, tmp_path: Path) -> None:
    shared, requests = toy_requests.build(tmp_path, 3)
    folder = shared_files.private(tmp_path / "jobs")
    jobs = engine.submit([one.id for one in requests], shared, folder, WorkOptions(2, more={"comment": "100"}))
    until(lambda: len(toy_requests.trainings(shared)) == 2)
    states = list(engine.poll(jobs, folder).values())
    assert states.count(RUNNING) == 2 and states.count(QUEUED) == 1
    engine.cancel(jobs, folder)
    until(lambda: set(engine.poll(jobs, folder).values()) == {GONE})
    until(lambda: not shared_files.names(shared / "leases"))


def test_a_requeued_job_goes_on_at_once(engine, cluster: slurm.Cluster, tmp_path: Path) -> None:
    """SLURM holds a requeued job back for two minutes; its lease is free as soon as it was asked to end."""
    shared, (request,) = toy_requests.build(tmp_path, 1)
    folder = shared_files.private(tmp_path / "jobs")
    (job,) = engine.submit([request.id], shared, folder, WorkOptions(more={"comment": "4"}))
    until(lambda: toy_requests.trainings(shared))
    cluster.run("scontrol", "requeue", job)
    began = time.monotonic()

    def sealed() -> bool:
        engine.poll([job], folder)
        return whole(shared, [request])

    until(sealed)
    assert time.monotonic() - began < 60
    assert toy_requests.is_right(shared, request.entries[0])


def test_what_slurm_cannot_give_is_refused_before_anything_is_submitted(engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no partition 'goat'") as caught:
        engine.check(WorkOptions(more={"partition": "goat"}))
    assert "main" in caught.value.allowed
    with pytest.raises(UsageError, match="main has no GPUs"):
        slurm_engine.SlurmEngine("NVIDIA H200").check(WorkOptions(more={"partition": "main"}))
    shared, (request,) = toy_requests.build(tmp_path, 1)
    with pytest.raises(UsageError, match="SLURM does not take the jobs"):
        engine.submit([request.id], shared, shared_files.private(tmp_path / "jobs"), WorkOptions(more={"goats": "2"}))
    with pytest.raises(UsageError, match="SLURM does not take the jobs"):
        engine.submit(
            [request.id], shared, shared_files.private(tmp_path / "j"), WorkOptions(more={"nodelist": "goat"})
        )
