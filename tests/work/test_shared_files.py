"""Files of a shared folder: whole or not there, once, private where they are one user's."""

from __future__ import annotations

import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.runtime import shared_files


def test_written_under_another_name_flushed_renamed_and_read_back(tmp_path: Path, monkeypatch) -> None:
    done: list[str] = []
    flush, move = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("fsync"), flush(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda one, other: (done.append("rename"), move(one, other))[1])
    shared_files.write(tmp_path / "a" / "file", b"content")
    assert done == ["fsync", "rename", "fsync"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_disk_that_gives_other_bytes_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _path: b"zeros")
    with pytest.raises(OSError, match="other bytes than were written"):
        shared_files.write(tmp_path / "file", b"content")


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        shared_files.write(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_exactly_one_creates(tmp_path: Path, monkeypatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: shared_files.create(tmp_path / "one", b"%d" % number), range(40)))
    assert sum(made) == 1 and (tmp_path / "one").read_bytes() == b"%d" % made.index(True)
    assert shared_files.names(tmp_path) == ["one"] and len(list(tmp_path.iterdir())) == 1


def test_a_private_folder_is_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir(mode=0o777)
    assert stat.S_IMODE(shared_files.private(tmp_path / "jobs").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["gpu-01", "node/../..", "nöde", "a b\nc", "", "x" * 300, "..", "$(reboot)"])
def test_a_host_of_any_name_can_name_a_file(tmp_path: Path, monkeypatch, name: str) -> None:
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    found = shared_files.host()
    (tmp_path / found).touch()
    assert shared_files.names(tmp_path) == [found] and len(found) <= 60


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written") as caught:
        shared_files.checked(tmp_path / "file" / "below")
    assert "git config assay.shared" in caught.value.hint
