"""Workers as SLURM jobs, submitted by submitit as arrays with a cap.

Covers: the protocol `work.engine_protocol`; arrays no larger than the cluster takes; requeued jobs, which SLURM would
hold back for two minutes. Not covered: what a job did. Without accounting SLURM itself does not know: the shared folder
has the sealed entries, and no file that submitit's jobs pickle is ever opened.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.work import worker_environment
from assay.work.engine_protocol import GONE, QUEUED, RUNNING, WorkOptions, worker
from assay.work.slurm_job import SlurmWorker
from assay.work.submitit_package import FailedJobError, FailedSubmissionError, SlurmExecutor

#: programs of SLURM that are needed
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
#: states of a job that is at work
_AT_WORK = ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT")
#: why a requeued job waits, in SLURM's word
_HELD_BACK = "BeginTime"
#: jobs of an array where the cluster does not say how many it takes
_ARRAY = 1001
#: option that asks for accelerators
_GPUS = ("gpus_per_node", "gpus_per_task", "gres")


class SlurmEngine:
    """The cluster that this machine's SLURM programs talk to. `device`: what the requests train on."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def check(self, options: WorkOptions) -> None:
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise UsageError(
                    f"there is no {program} on this machine",
                    allowed="a machine that submits to SLURM",
                    hint="assay work --on local",
                )
        partition = options.more.get("partition", "")
        offered = _asked("sinfo", "--noheader", "--format=%P|%G", *(["--partition", partition] if partition else []))
        rows = [line.rpartition("|") for line in offered.split("\n") if "|" in line]
        if not rows:
            known = _asked("sinfo", "--noheader", "--format=%R")
            raise UsageError(
                f"SLURM has no partition {partition!r}" if partition else "SLURM has no partition",
                allowed=", ".join(sorted({*known.split()})),
            )
        if self.device != "cpu" and not any("gpu" in resources for _, _, resources in rows):
            raise UsageError(
                f"the work asks for {self.device}, and {partition or 'no partition'} has "
                f"{'no GPUs' if partition else 'GPUs'}",
                allowed="a partition with GPUs",
                hint="assay work --on slurm --option partition=NAME",
            )

    def submit(self, requests: Sequence[str], shared: Path, folder: Path, options: WorkOptions) -> list[str]:
        parts = list(_parts(requests, largest_array()))
        jobs: list[str] = []
        for part in parts:
            executor = SlurmExecutor(folder=folder, max_num_timeout=100)
            try:
                executor.update_parameters(**self._parameters(options, max(1, options.parallel // len(parts)), folder))
                calls = [SlurmWorker(worker(name, shared, options), options.also) for name in part]
                with executor.batch():
                    made = [executor.submit(call) for call in calls]
                jobs += [str(one.job_id) for one in made]
            except (FailedJobError, FailedSubmissionError, ValueError, TypeError) as error:
                self.cancel(jobs, folder)
                said = " ".join(str(error).split())
                raise UsageError(
                    f"SLURM does not take the jobs: {said[:400]}",
                    allowed="options of sbatch, as submitit names them, within what a partition allows",
                    hint="scontrol show partition",
                ) from error
        return jobs

    def _parameters(self, options: WorkOptions, parallel: int, folder: Path) -> dict[str, Any]:
        given: dict[str, Any] = {key: int(text) if text.isdigit() else text for key, text in options.more.items()}
        if self.device != "cpu" and not any(name in given for name in _GPUS):
            given["gpus_per_node"] = 1
        own: dict[str, Any] = {"job_name": "assay", "array_parallelism": parallel, "signal_delay_s": 60}
        if options.minutes:
            own["time"] = options.minutes
        # named one by one: by default all variables of this shell would travel, tokens among them; the last is what
        # submitit tells its jobs by
        names = [*worker_environment.names(options.also), "SUBMITIT_EXECUTOR=slurm"]
        more = {"export": ",".join(names), "chdir": str(folder), "requeue": True}
        return {**own, **given, "additional_parameters": more}

    def poll(self, jobs: Sequence[str], folder: Path) -> dict[str, str]:
        listed = _asked("squeue", "--array", "--noheader", "--me", "--format=%i|%T|%r")
        states = {line.split("|")[0]: line.split("|")[1:] for line in listed.split("\n") if line.count("|") == 2}
        found = {job: states[job] for job in jobs if job in states}
        for job, (state, reason) in found.items():
            if state == "PENDING" and reason == _HELD_BACK:
                subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], capture_output=True)
        return {job: _state(found[job][0]) if job in found else GONE for job in jobs}

    def cancel(self, jobs: Sequence[str], folder: Path) -> None:
        for part in _parts(jobs, 100):
            # to the batch script's children as well: a worker puts what it has into the shared folder first
            subprocess.run(["scancel", *part], capture_output=True)

    def logs(self, job: str, folder: Path) -> list[Path]:
        found = (folder / f"{job}_0_log.{kind}" for kind in ("out", "err"))
        return [path for path in found if path.is_file()]


def largest_array() -> int:
    """How many jobs one array of this cluster may have."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _asked("scontrol", "show", "config"), re.MULTILINE)
    return max(1, int(found[1]) if found else _ARRAY)


def _state(said: str) -> str:
    return RUNNING if said in _AT_WORK else QUEUED


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _asked(*command: str) -> str:
    """What a program of SLURM answers. Raises UsageError with its first line where it fails."""
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        said = (done.stderr.strip() or "no message").split("\n")[0]
        raise UsageError(
            f"{command[0]} failed: {said}",
            allowed="a machine that reaches the controller of a cluster",
            hint="scontrol ping; without a cluster: assay work --on local",
        )
    return done.stdout
