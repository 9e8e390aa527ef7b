"""`machine.devices` in the stages: refused before anything is removed, used by both arms, no part of a strategy."""

from __future__ import annotations

import os
import sys

import pytest

from support.project import Project
from support.stages import stages


@pytest.mark.extra
@pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned on Linux only")
def test_both_arms_use_the_devices(project: Project) -> None:
    core = max(os.sched_getaffinity(0))
    project.edit("params.yaml", "  execution: auto", "  execution: fused\n  devices: [4096] ")
    refused = project.assay("stage", "context", ok=False)
    assert refused.returncode == 2
    assert "machine.devices names core 4096, which this process does not have; allowed: all" in refused.stderr
    project.edit("params.yaml", "[4096]", f"[{core}, {core}]")
    project.git("commit", "--quiet", "--all", "--message=two processes")
    did = stages(project.dvc("exp", "run", "-S", "lr=0.02", "-S", "seed=2").stdout)
    assert [did[name] for name in ("baseline", "train")] == ["ran", "ran"]
    for arm in ("baseline", "candidate"):
        assert f"devices: core {core}, core {core}; replicates train in lanes" in project.read(f"results/{arm}.log")
    assert {row["execution"] for row in project.replicates("candidate")} == {"fused"}
    did = stages(project.dvc("exp", "run", "-S", f"machine.devices=[{core}]").stdout)
    assert did["train"] != "ran" and did["baseline"] != "ran", "how many devices there are decides nothing"
