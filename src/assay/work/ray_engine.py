"""Workers as tasks of a Ray cluster, under a server that outlives the command that asked.

Covers: the protocol `work.engine_protocol`. States, cancelling and logs go through the launch's own folder, which all
machines see, so that any of them may ask. Not covered: tasks (`work.ray_task`), the server (`work.ray_server`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.core.schemas import DAMAGE
from assay.runtime import files, leases, library_fingerprint, shared_files
from assay.work import local_engine, ray_options, worker_environment
from assay.work.engine_protocol import GONE, QUEUED, WorkOptions
from assay.work.ray_options import AskedCluster
from assay.work.ray_server import ALIVE, ASKED, SERVING, STATES


class RayEngine:
    """The cluster of `--option address=…`, or the one that Ray finds here. `device`: what the requests train on."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def check(self, options: WorkOptions) -> None:
        address, needs = ray_options.read(options.more, self.device)
        with ray_options.connected(address):
            ray_options.check_resources(needs)

    def submit(self, requests: Sequence[str], shared: Path, folder: Path, options: WorkOptions) -> list[str]:
        address, needs = ray_options.read(options.more, self.device)
        asked = AskedCluster(
            list(requests), str(shared), options.parallel, options.lease, list(options.also), address, needs
        )
        files.write_bytes(folder / ASKED, msgspec.json.encode(asked))
        with (folder / "server.log").open("ab") as log:
            server = subprocess.Popen(
                library_fingerprint.command("serve_requests", str(folder), "ray"),
                cwd=folder,
                env=worker_environment.allowed((*options.also, "RAY_ADDRESS")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it goes on when this command has ended
            )
        local_engine.note_process(folder / local_engine.SERVER, server.pid)
        return list(requests)

    def poll(self, jobs: Sequence[str], folder: Path) -> dict[str, str]:
        here = local_engine.is_serving(folder)
        if not here and leases.holder(folder / SERVING, ALIVE) is None:
            return dict.fromkeys(jobs, GONE)
        try:
            states = msgspec.json.decode(shared_files.read(folder / STATES) or b"", type=dict[str, str])
        except DAMAGE:  # it has not begun
            return dict.fromkeys(jobs, QUEUED)
        return {job: states.get(job, GONE) for job in jobs}

    def cancel(self, jobs: Sequence[str], folder: Path) -> None:
        for job in jobs:
            (folder / f"{job}.cancelled").touch(mode=0o600)

    def logs(self, job: str, folder: Path) -> list[Path]:
        return [path for path in (folder / f"{job}.log", folder / "server.log") if path.is_file()]
