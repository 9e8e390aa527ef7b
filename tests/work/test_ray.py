"""`assay work --on ray` on a real Ray cluster of three nodes, on this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from assay.core.errors import UsageError
from assay.core.work_records import SharedPaths
from assay.replicates import shared_entries
from assay.runtime import shared_files
from assay.work.engine_protocol import GONE, QUEUED, RUNNING, WorkOptions
from support import toy_requests

pytest.importorskip("ray", reason="no Ray: pip install 'dvc-assay[ray]'")
pytestmark = pytest.mark.extra

from ray.cluster_utils import Cluster  # noqa: E402

from assay.work import ray_engine, ray_options, ray_server  # noqa: E402
from assay.work.ray_options import AskedCluster  # noqa: E402


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80_000_000})
    yield made
    made.shutdown()


def node(cluster: Cluster) -> object:
    return cluster.add_node(num_cpus=1, object_store_memory=80_000_000)


def toy(request: str, shared: Path, options: WorkOptions) -> list[str]:
    return [sys.executable, toy_requests.__file__, str(shared), request, "4", "3"]


def test_what_a_node_held_is_done_by_another(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node ends with a worker on it; its lease runs out, and the request is done elsewhere."""
    monkeypatch.setattr(ray_server, "worker", toy)
    lost, _ = node(cluster), node(cluster)
    shared, requests = toy_requests.build(tmp_path, 3)
    folder = shared_files.private(tmp_path / "jobs")
    names = [one.id for one in requests]
    asked = AskedCluster(names, str(shared), 2, 3.0, [], cluster.address, {"num_cpus": 1.0})
    (folder / ray_server.ASKED).write_bytes(msgspec.json.encode(asked))
    seen: list[dict[str, str]] = []

    def kill_once(*arguments: object, **options: object) -> tuple[list[object], list[object]]:
        if not seen and len(toy_requests.trainings(shared)) == 2:
            seen.append(ray_engine.RayEngine().poll(names, folder))
            cluster.remove_node(lost, allow_graceful=False)
        return real(*arguments, **options)

    real = ray_server.ray.wait
    monkeypatch.setattr(ray_server.ray, "wait", kill_once)
    said: list[str] = []
    ray_server.serve(folder, said.append)
    assert sorted(seen[0].values()) == [QUEUED, RUNNING, RUNNING]
    assert all(toy_requests.is_right(shared, one.entries[0]) for one in requests), said
    assert any("goes back to the queue" in line for line in said)
    assert set(ray_engine.RayEngine().poll(names, folder).values()) == {GONE}
    assert not shared_files.names(SharedPaths(shared).failures(names[0]))


def test_cancelled_work_ends_and_the_launcher_may_leave(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the engine, whose server is a process of its own; the real worker refuses the toy's tree, and says so."""
    node(cluster)
    shared, requests = toy_requests.build(tmp_path, 2)
    folder, engine = shared_files.private(tmp_path / "jobs"), ray_engine.RayEngine()
    options = WorkOptions(parallel=1, more={"address": cluster.address})
    engine.check(options)
    names = [one.id for one in requests]
    jobs = engine.submit(names, shared, folder, options)
    assert jobs == names and set(engine.poll(jobs, folder).values()) <= {QUEUED, RUNNING}
    engine.cancel(jobs[1:], folder)
    end = time.monotonic() + 90
    while set(engine.poll(jobs, folder).values()) != {GONE}:
        assert time.monotonic() < end, (folder / "server.log").read_text()
        time.sleep(0.5)
    assert shared_files.names(SharedPaths(shared).failures(names[0])), "it was tried, and failed"
    assert not shared_files.names(SharedPaths(shared).failures(names[1])), "it was cancelled before it began"
    assert engine.logs(jobs[0], folder)[0].name == f"{jobs[0]}.log"
    assert json.loads((folder / "states.json").read_bytes()) == {}
    assert not shared_entries.has(shared, requests[1].entries[0], toy_requests.EVALUATED)


def test_what_a_cluster_cannot_give_is_refused(cluster: Cluster) -> None:
    node(cluster)
    engine = ray_engine.RayEngine("NVIDIA H200")
    with pytest.raises(UsageError, match="a worker asks for 1 processors and 1 GPUs"):
        engine.check(WorkOptions(more={"address": cluster.address}))
    with (
        pytest.raises(UsageError, match=r"no Ray cluster is reached at 127\.0\.0\.1:1: ") as told,
        ray_options.connected("127.0.0.1:1"),
    ):
        pass
    assert told.value.hint.startswith("ray start --head")
    with pytest.raises(UsageError, match="--option partition is nothing for Ray"):
        ray_options.read({"partition": "gpu"}, "cpu")
    with pytest.raises(UsageError, match="--option num_cpus is 'many'"):
        ray_options.read({"num_cpus": "many"}, "cpu")
