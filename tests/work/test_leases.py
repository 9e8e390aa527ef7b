"""Leases: one holder, expiry by the server's clock, take-over, the dead of this machine, damaged files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assay.runtime import leases, process_identity, shared_files


def age(folder: Path, seconds: float) -> None:
    """Let the newest lease be so old, as its server tells."""
    newest = max(folder.iterdir(), key=lambda path: int(path.name))
    then = time.time() - seconds
    os.utime(newest, (then, then))


def elsewhere(folder: Path) -> None:
    """Let the newest lease be one of another machine, whose processes nobody here can see."""
    newest = max(folder.iterdir(), key=lambda path: int(path.name))
    newest.write_text(json.dumps({**json.loads(newest.read_text()), "space": "another boot", "host": "far"}))


def test_one_of_many_gets_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: leases.take(tmp_path / "name"), range(32)))
    assert sum(one is not None for one in taken) == 1
    held = leases.holder(tmp_path / "name")
    assert held is not None and held.host == shared_files.host()


def test_it_expires_and_one_of_many_takes_it_over(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    first = leases.take(folder, seconds=10)
    assert first is not None and leases.take(folder) is None
    age(folder, 11)
    assert leases.holder(folder) is None
    with ThreadPoolExecutor(8) as pool:
        taken = [one for one in pool.map(lambda _: leases.take(folder), range(32)) if one]
    assert len(taken) == 1 and taken[0].held and not first.held


def test_who_lost_it_neither_keeps_nor_releases_it(tmp_path: Path) -> None:
    """A worker that was asleep comes back: it may finish, but its lease is another's now."""
    folder = tmp_path / "name"
    first = leases.take(folder, seconds=10)
    assert first is not None
    age(folder, 11)
    second = leases.take(folder)
    assert second is not None
    assert not first.beat()
    first.release()
    assert second.held and leases.take(folder) is None
    second.release()
    third = leases.take(folder)  # numbers begin anew, and the first worker's is the same file
    assert third is not None and not first.beat()
    first.release()
    assert third.held


def test_a_sign_of_life_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    held = leases.take(folder, seconds=10)
    age(folder, 9)
    assert held is not None and held.beat()
    found = leases.holder(folder)
    assert found is not None and found.age < 5


def test_clocks_of_machines_do_not_matter(tmp_path: Path, monkeypatch) -> None:
    """Ages come from the folder's server: a machine that is years ahead takes nothing over."""
    folder = tmp_path / "name"
    assert leases.take(folder, seconds=10)
    elsewhere(folder)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert leases.take(folder) is None


def test_the_dead_of_this_machine_hold_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    code = f"from assay.runtime import leases; from pathlib import Path; leases.take(Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list(folder.iterdir())
    assert leases.holder(folder) is None and leases.take(folder) is not None
    elsewhere(folder)
    assert leases.take(folder) is None, "of another machine nobody knows, until it expires"


def test_a_number_that_was_given_again_is_another_process() -> None:
    here = process_identity.of(os.getpid())
    assert process_identity.is_here(here)
    assert process_identity.has_ended({**here, "started": "1"})
    assert not process_identity.has_ended({**here, "space": "elsewhere"})


def test_a_damaged_lease_counts_by_its_age(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    assert leases.take(folder, seconds=10)
    (folder / "1").write_text("{")
    assert leases.take(folder, seconds=100) is None
    age(folder, 101)
    assert leases.take(folder, seconds=100) is not None
