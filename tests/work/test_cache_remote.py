"""`assay cache push` and `pull`: replicates travel through DVC's remote, whole and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.commands import shared_remote
from assay.core.errors import UsageError
from assay.replicates import cache_entries
from support.project import Project


@pytest.fixture
def there(fresh: Project, tmp_path: Path, monkeypatch) -> Path:
    """The remote's folder of ours; the project has two replicates in its cache."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    config = fresh.root / ".dvc" / "config.local"
    config.write_text(f"[core]\n    remote = far\n['remote \"far\"']\n    url = {tmp_path / 'remote'}\n")
    for entry in ("a" * 32, "b" * 32):
        for name in ("weights", "e" * 32):
            path = fresh.root / ".dvc/tmp/assay/replicates" / entry / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cache_entries.seal(path, f"{entry} {name}".encode())
    return tmp_path / "remote" / "assay" / "replicates"


def test_pushed_by_one_machine_and_pulled_by_another(fresh: Project, there: Path) -> None:
    assert shared_remote.push(fresh.root, "").files == 4
    assert shared_remote.push(fresh.root, "far").files == 0
    assert sorted(path.name for path in there.rglob("*") if path.is_file()) == ["e" * 32] * 2 + ["weights"] * 2
    kept = fresh.root / ".dvc/tmp/assay/replicates"
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    for path in before:
        path.unlink()
    assert shared_remote.pull(fresh.root, "").files == 4
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before


def test_what_is_damaged_on_either_side_stays_there(fresh: Project, there: Path) -> None:
    kept = fresh.root / ".dvc/tmp/assay/replicates"
    (kept / ("a" * 32) / "weights").write_bytes(b"half")
    assert shared_remote.push(fresh.root, "").damaged == 1
    (there / ("b" * 32) / "weights").write_bytes(b"half")
    (kept / ("b" * 32) / "weights").unlink()
    found = shared_remote.pull(fresh.root, "")
    assert (found.files, found.damaged) == (0, 1) and not (kept / ("b" * 32) / "weights").exists()


def test_a_remote_that_is_not_there_or_refuses_is_a_sentence(fresh: Project, there: Path) -> None:
    with pytest.raises(UsageError, match="no such remote"):
        shared_remote.push(fresh.root, "goat")
    there.parents[1].parent.joinpath("remote").write_text("a file where the remote should be")
    with pytest.raises(UsageError, match="the remote far refuses"):
        shared_remote.push(fresh.root, "")
