"""Requests for other machines: what one costs beside its training, workers on SLURM, and kills at random moments.

    python benchmarks/requests.py overhead [--requests 10]
    python benchmarks/requests.py kills [--kills 50] [--requests 8] [--seed 7]
    python benchmarks/requests.py slurm [--requests 16] [--seconds 20]   # root, and Debian's slurmctld slurmd slurm-client

Workers are real; what trains is a script that sleeps so long and then seals bytes that follow from the address.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import slurm, toy_requests

from assay.core.work_records import SharedPaths
from assay.replicates import shared_entries
from assay.runtime import shared_files
from assay.work.engine_protocol import WorkOptions


def overhead(folder: Path, count: int) -> None:
    """Seconds of a request beside the process that trains: unpacking, checking, leases, copying, fsync."""
    shared, requests = toy_requests.build(folder, count)
    took, cpu = [], []
    for one in requests:
        began, spent = time.perf_counter(), time.process_time()
        toy_requests.here(shared, one.id)
        took.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    spans = [one for each in toy_requests.trainings(shared).values() for one in each]
    print(f"{count} requests: {statistics.median(took):.2f} s each with starting the process that trains,")
    print(f"of which {statistics.median(cpu):.3f} s of the worker's own processor time; {len(spans)} trainings")


def kills(folder: Path, wanted: int, count: int, seed: int) -> None:
    """SIGKILL to workers at random moments until `wanted` were killed and all is sealed."""
    shared, requests = toy_requests.build(folder, count)
    dice, killed, running = random.Random(seed), 0, {}
    began = time.monotonic()
    while True:
        left = [one for one in requests if shared_entries.missing(shared, one.entries, toy_requests.EVALUATED)]
        running = {name: process for name, process in running.items() if process.poll() is None}
        if not left and killed >= wanted:
            break
        if not left:  # all is sealed before all kills were made: more replicates of the same
            first = sum(len(one.numbers) for one in requests)
            requests += toy_requests.more(shared, requests[0], first, count)
            continue
        for one in left:
            if one.id not in running and len(running) < 2:
                running[one.id] = toy_requests.worker(shared, one.id, 0.2, lease=10)
        time.sleep(dice.uniform(0, 3))
        if running and killed < wanted:
            running[dice.choice(sorted(running))].kill()
            killed += 1
    for process in running.values():
        process.wait()
    names = [name for one in requests for name in one.entries]
    right = sum(toy_requests.is_right(shared, name) for name in names)
    spans = toy_requests.trainings(shared)
    ended = sum(span[1] < float("inf") for each in spans.values() for span in each)
    print(f"{killed} kills, {len(names)} replicates: {right} have their bytes, {ended} trainings ended,")
    print(f"{sum(map(len, spans.values())) - ended} were cut short; {time.monotonic() - began:.0f} s; seed {seed}")
    print(f"leases left: {len(shared_files.names(shared / 'leases'))}, unequal: {len(shared_entries.unequal(shared))}")


def on_slurm(folder: Path, count: int, seconds: float) -> None:
    """Wall-clock time of `count` requests that sleep `seconds` each, on two nodes of one processor."""
    slurm_engine = importlib.import_module("assay.work.slurm_engine")  # needs submitit
    shared, requests = toy_requests.build(folder, count)
    with slurm.cluster(folder / "cluster") as cluster:
        os.environ.update(cluster.variables)
        slurm_engine.worker = lambda name, where, options: [
            *(sys.executable, toy_requests.__file__, str(where), name, str(seconds), "300")
        ]
        jobs = shared_files.private(folder / "jobs")
        began = time.monotonic()
        slurm_engine.SlurmEngine().submit([one.id for one in requests], shared, jobs, WorkOptions(parallel=2))
        while any(shared_entries.missing(shared, one.entries, toy_requests.EVALUATED) for one in requests):
            time.sleep(0.5)
        took = time.monotonic() - began
        hosts = [
            made.host for one in requests for made in shared_entries.made_by(SharedPaths(shared).entry(one.entries[0]))
        ]
    ideal = count * seconds / 2
    print(f"{count} requests of {seconds:g} s on two nodes: {took:.0f} s, {took / ideal:.2f} × ideal")
    print(f"hosts: { ({host: hosts.count(host) for host in sorted(set(hosts))}) }")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "kills", "slurm"))
    parser.add_argument("--requests", type=int)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-requests-") as folder:
        if given.what == "overhead":
            overhead(Path(folder), given.requests or 10)
        elif given.what == "kills":
            kills(Path(folder), given.kills, given.requests or 8, given.seed)
        else:
            on_slurm(Path(folder), given.requests or 16, given.seconds)


if __name__ == "__main__":
    main()
