"""A real SLURM with two nodes on this machine, from Debian's packages; None where they are not installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")


def missing() -> str:
    """What this machine lacks for it, "" where it has everything."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if lacking:
        return f"no {lacking[0]}: apt-get install slurmctld slurmd slurm-client"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _configuration(folder: Path, cpus: int, more: str) -> str:
    here = socket.gethostname()
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={here} NodeAddr=127.0.0.1 Port={_port()} CPUs={cpus} State=UNKNOWN"
        for name in NODES
    )
    return f"""ClusterName=assay
SlurmctldHost={here}(127.0.0.1)
SlurmctldPort={_port()}
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SlurmUser={pwd.getpwuid(os.geteuid()).pw_name}
SlurmdUser={pwd.getpwuid(os.geteuid()).pw_name}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,defer_batch=0
{more}
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class Cluster:
    """`variables` of the environment let SLURM's programs find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                command, env=os.environ | self.variables, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def node(self, name: str) -> None:
        self.start(name, "slurmd", "-D", "-N", name, "-f", self.variables["SLURM_CONF"])

    def run(self, *command: str) -> str:
        return subprocess.run(
            command, env=os.environ | self.variables, capture_output=True, text=True, check=True
        ).stdout

    def wait(self, seconds: float = 30) -> None:
        """Until both nodes take jobs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = subprocess.run(
                ["sinfo", "-h", "-N", "-o", "%N %t"], env=os.environ | self.variables, capture_output=True, text=True
            )
            if done.stdout.split() == [word for name in NODES for word in (name, "idle")]:
                return
            time.sleep(0.2)
        raise AssertionError(f"SLURM did not come up: {done.stdout} {done.stderr}")

    def stop(self) -> None:
        for name in reversed(list(self.processes)):
            process = self.processes.pop(name)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path, cpus: int = 1, more: str = "") -> Iterator[Cluster]:
    """Two nodes of `cpus` processors each, until the block ends. `more`: lines for slurm.conf."""
    folder.mkdir(parents=True)
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(_configuration(folder, cpus, more), encoding="utf-8")
    made = Cluster(folder)
    try:
        made.start("slurmctld", "slurmctld", "-D", "-f", made.variables["SLURM_CONF"])
        for name in NODES:
            made.node(name)
        made.wait()
        yield made
    finally:
        made.stop()
