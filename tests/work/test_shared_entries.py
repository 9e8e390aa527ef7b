"""The cache of one machine and that of a shared folder: reading through, comparing bytes, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from assay.core.errors import IncomparableError, UsageError
from assay.core.work_records import SharedPaths
from assay.replicates import cache_entries, shared_entries
from assay.replicates.replicate_cache import Names, ReplicateCache
from assay.replicates.replicate_result import Outcome
from assay.runtime import leases

NAMES = Names("code", {"lr": 1}, "train", "full", "environment", "candidate", 1)
EVALUATED = "e" * 32


def cache(folder: Path, shared: Path | None) -> ReplicateCache:
    return ReplicateCache(folder / "replicates", NAMES, EVALUATED, [], shared)


def outcome(number: int = 0, value: float = 1.0, seconds: float = 2.0) -> Outcome:
    predictions = np.full((3, 2), value, dtype=np.float32)
    return Outcome(
        number, 5, "sequential", seconds, 10, save({"w": np.ones(2, dtype=np.float32)}), predictions=predictions
    )


def test_another_machine_finds_what_this_one_trained(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    cache(tmp_path / "one", shared).save(outcome())
    found = cache(tmp_path / "two", shared).load(0)
    assert found is not None and found.reused and found.predictions is not None and found.predictions[0, 0] == 1
    assert cache(tmp_path / "two", None).load(0) is not None, "it is in the own cache now"
    assert cache(tmp_path / "three", None).load(0) is None


def test_seconds_and_host_are_no_part_of_what_is_compared(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    cache(tmp_path / "one", shared).save(outcome(seconds=2))
    cache(tmp_path / "two", None).save(outcome(seconds=99))
    entry = tmp_path / "two" / "replicates" / NAMES.name(0)
    assert shared_entries.publish(entry, shared, shared_entries.made_here(1)) is None


def test_other_bytes_of_the_same_replicate_are_nobodys(tmp_path: Path, monkeypatch) -> None:
    shared = tmp_path / "shared"
    cache(tmp_path / "one", shared).save(outcome())
    monkeypatch.setenv("SLURMD_NODENAME", "gpu-7")
    with pytest.raises(IncomparableError, match=r"and gpu-7 made other bytes of the same replicate"):
        cache(tmp_path / "two", shared).save(outcome(value=2.0))
    assert cache(tmp_path / "three", shared).load(0) is None
    assert cache(tmp_path / "two", None).load(0) is None, "nor is it this machine's"
    (finding,) = shared_entries.unequal(shared)
    assert "gpu-7" in finding.hosts and len(finding.hosts) == 2
    with pytest.raises(IncomparableError):  # until somebody has looked
        cache(tmp_path / "four", shared).save(outcome())


def test_a_damaged_entry_is_left_alone_and_mended_by_the_next(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    cache(tmp_path / "one", shared).save(outcome())
    weights = SharedPaths(shared).entry(NAMES.name(0)) / "weights"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert cache(tmp_path / "two", shared).load(0) is None and weights.exists()
    cache(tmp_path / "two", shared).save(outcome())
    assert cache_entries.content(weights.read_bytes()) is not None


def test_no_stage_waits_for_another_machine(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    assert leases.take(SharedPaths(shared).leases(NAMES.name(1)))
    assert cache(tmp_path / "one", shared).claim([0]) == [0]
    with pytest.raises(UsageError, match="replicate 1 is being trained by") as caught:
        cache(tmp_path / "one", shared).claim([1])
    assert caught.value.hint.startswith("assay work status")


def test_a_full_disk_of_the_shared_folder_costs_no_result(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("no folder")
    one = cache(tmp_path / "one", tmp_path / "shared")
    one.save(outcome())
    assert one.load(0) is not None
    assert "nothing is shared" in one.notes[0].text


def test_notes_of_a_group_come_along(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    one = cache(tmp_path / "one", None)
    one.remember(NAMES, "notes", 0)
    for folder in (tmp_path / "one" / "replicates").iterdir():
        shared_entries.publish(folder, shared, shared_entries.made_here(1))
    assert cache(tmp_path / "two", shared).recall(Names, "notes", 0) == NAMES
