"""What `assay work --on slurm` says where SLURM's programs are there and no controller answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.work.engine_protocol import WorkOptions

pytest.importorskip("submitit")

from assay.work import slurm_engine


def programs(folder: Path, script: str) -> None:
    for name in slurm_engine.PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def test_without_a_controller_it_names_what_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    programs(tmp_path, "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UsageError, match="sinfo failed: Unable to contact slurm controller") as told:
        slurm_engine.SlurmEngine().check(WorkOptions())
    assert told.value.hint == "scontrol ping; without a cluster: assay work --on local"


def test_without_slurm_it_names_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no sbatch on this machine") as told:
        slurm_engine.SlurmEngine().check(WorkOptions())
    assert told.value.hint == "assay work --on local"
