"""What a container or a batch system leaves: control groups of both versions, as their files lie on real machines."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from miniature import Make
from test_fused import plan_of
from zoo import TASK

from assay.runtime import container_limits, parent_watch
from assay.training import device, thread_count

#: name → files of a machine; then processors and MiB that are left
MACHINES: dict[str, tuple[dict[str, str], float, float]] = {
    "no control groups": ({}, math.inf, math.inf),
    "version 2, no limits": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.procs": "1\n", "sys/fs/cgroup/cpu.stat": "usage_usec 1\n"},
        math.inf,
        math.inf,
    ),
    "version 2, a container": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cgroup.procs": "1\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": f"{400 * 2**20}\n",
            "sys/fs/cgroup/memory.current": f"{300 * 2**20}\n",
            "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {50 * 2**20}\nactive_file 7\n",
        },
        1.5,
        150,
    ),
    "version 2, a job in a slice: the tightest counts": (
        {
            "proc/self/cgroup": "0::/system.slice/job_7/step_0\n",
            "sys/fs/cgroup/cgroup.procs": "1\n",
            "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
            "sys/fs/cgroup/system.slice/job_7/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/system.slice/job_7/step_0/cpu.max": "max 100000\n",
            "sys/fs/cgroup/system.slice/job_7/memory.max": f"{1000 * 2**20}\n",
            "sys/fs/cgroup/system.slice/job_7/memory.current": f"{900 * 2**20}\n",
            "sys/fs/cgroup/system.slice/job_7/step_0/memory.max": f"{500 * 2**20}\n",
            "sys/fs/cgroup/system.slice/job_7/step_0/memory.current": f"{100 * 2**20}\n",
        },
        4,
        100,
    ),
    "version 1, a container that sees the host's path": (
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/cgroup.procs": "1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/cgroup.procs": "1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{200 * 2**20}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{180 * 2**20}\n",
            "sys/fs/cgroup/memory/memory.stat": f"cache 1\ninactive_file 1\ntotal_inactive_file {10 * 2**20}\n",
        },
        2,
        30,
    ),
    "version 1, mounted under the controller's own name, no limits": (
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/\n0::/\n",
            "sys/fs/cgroup/cpu/cgroup.procs": "1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/cgroup.procs": "1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "0\n",
        },
        math.inf,
        9223372036854771712 / 2**20,
    ),
    "more in use than the limit": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cgroup.procs": "1\n",
            "sys/fs/cgroup/memory.max": "100\n",
            "sys/fs/cgroup/memory.current": "200\n",
        },
        math.inf,
        0,
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_limits_of_control_groups(tmp_path: Path, name: str) -> None:
    files, processors, mebibytes = MACHINES[name]
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    assert container_limits.processors(tmp_path) == processors
    assert container_limits.memory(tmp_path) / 2**20 == mebibytes


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processors cannot be chosen here")
@pytest.mark.parametrize(("quota", "expected"), [(math.inf, 4), (64.0, 4), (1.5, 2), (0.2, 1)])
def test_processors_are_those_that_a_quota_pays_for(
    monkeypatch: pytest.MonkeyPatch, quota: float, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(4)))
    monkeypatch.setattr(container_limits, "processors", lambda: quota)
    assert parent_watch.processors() == expected


@pytest.mark.parametrize(("processors", "threads"), [(2, 2), (8, 4)])
def test_a_large_model_gets_no_more_threads_than_there_are_processors(
    make: Make, monkeypatch: pytest.MonkeyPatch, processors: int, threads: int
) -> None:
    """Torch counts those of the host, whatever a container may use of them."""
    monkeypatch.setattr(thread_count, "SMALL", 0)
    monkeypatch.setattr(parent_watch, "processors", lambda: processors)
    with device.threads(4), thread_count.threads(plan_of(make(TASK))):
        assert torch.get_num_threads() == threads
