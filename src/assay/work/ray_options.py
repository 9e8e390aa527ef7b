"""What may be asked of a Ray cluster: its address, and what each task needs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from assay.core.errors import UsageError
from assay.work.ray_package import ray

#: option → how it is read; the rest of Ray's is not for workers
OPTIONS = {"address": str, "num_cpus": float, "num_gpus": float, "accelerator_type": str, "memory": float}
#: how a Ray cluster is found where nothing is said
ANY = "auto"
#: seconds that a cluster has to answer
_PATIENCE = 10.0


class AskedCluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a server has worked on: requests in their order, for workers of this shared folder, and where."""

    requests: list[str]
    shared: str
    parallel: int
    lease: float
    also: list[str]
    address: str
    task: dict[str, float | str]  # what Ray keeps free for each task


def read(more: Mapping[str, str], device: str) -> tuple[str, dict[str, float | str]]:
    """Address and needs of a task that trains on `device`. Raises UsageError for an option that is none."""
    if strange := next((key for key in more if key not in OPTIONS), ""):
        raise UsageError(f"--option {strange} is nothing for Ray", allowed=", ".join(OPTIONS))
    found: dict[str, float | str] = {"num_cpus": 1.0, "num_gpus": 0.0 if device == "cpu" else 1.0}
    for key, text in more.items():
        try:
            found[key] = OPTIONS[key](text)
        except ValueError as error:
            raise UsageError(f"--option {key} is {text!r}", allowed="a number") from error
    return str(found.pop("address", ANY)), found


def of_task(asked: AskedCluster) -> dict[str, Any]:
    """Options of a Ray task: one that a node took with it is tried again by the server, and not by Ray."""
    return {**asked.task, "max_retries": 0}


@contextmanager
def connected(address: str) -> Iterator[None]:
    """As a driver of the cluster. Raises UsageError where there is none, or it has another Python or Ray."""
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"no Ray cluster is reached at {address}: {said[:300]}",
            allowed="a running cluster, with the Python and the Ray of this environment",
            hint="ray start --head, or assay work --on ray --option address=HOST:6379",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT: Ray would try for minutes."""
    host, mark, port = address.rpartition(":")
    if mark and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def check_resources(needs: Mapping[str, float | str]) -> None:
    """Raises UsageError where no node of the cluster could ever run one such task."""
    nodes = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    cpus, gpus = (float(needs.get(name, 0)) for name in ("num_cpus", "num_gpus"))
    if not any(one.get("CPU", 0) >= cpus and one.get("GPU", 0) >= gpus for one in nodes):
        most = ", ".join(f"{one.get('CPU', 0):g} processors and {one.get('GPU', 0):g} GPUs" for one in nodes) or "none"
        raise UsageError(
            f"a worker asks for {cpus:g} processors and {gpus:g} GPUs, and nodes of the cluster have {most}",
            allowed="what one node has",
            hint="assay work --on ray --option num_cpus=N --option num_gpus=N",
        )
