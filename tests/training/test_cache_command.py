"""`assay cache` in a real repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay.cli.root import run
from assay.core.paths import CachePaths
from assay.replicates import cache_entries, cache_pruning
from assay.runtime import cache_dirs


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Start"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    for number in range(3):
        cache_entries.seal(CachePaths(tmp_path).replicates / f"entry{number}" / "weights", bytes(2000))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_shows_and_prunes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--json"]) == 0
    before = shown(capsys)
    assert before["entries"] == 3 and before["size"] > 6000 and before["freed"] == 0
    assert run(["cache", "--prune", "5k", "--json"]) == 0
    after = shown(capsys)
    assert after["entries"] == 2 and after["freed"] == before["size"] - after["size"]
    assert run(["cache", "--prune", "0"]) == 0
    assert capsys.readouterr().out.startswith("freed 4.09 kB; 0 entries, 0 B of at most 4.29 GB")
    assert not list(CachePaths(home).replicates.iterdir())


def laid_out(home: Path) -> list[Path]:
    """One of every kind, older from one to the next; a lock that nobody holds; what a killed write left."""
    store = CachePaths(home)
    folders = [store.tree("abc"), store.foreign("1.dir"), store.export("tag", False), store.cells / "x-1", store.accept]
    for folder in folders:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_bytes(bytes(1000))
        (folder / "deep" / "around").symlink_to(home)  # as scratch repositories have one to the cache
    cache_entries.seal(store.checkpoints / "what" / "code", bytes(5000))
    made = [*folders, store.checkpoints / "what" / "code", store.sources, store.root / ".sources.cache.x1y2"]
    for path in made[-2:]:
        path.write_bytes(bytes(1000))
    for age, path in enumerate(reversed(made)):
        os.utime(path, (1000 + age, 1000 + age))
    for lock in (store.replicates / "dead.lock", store.root / "accept.lock"):
        lock.touch()
    return made


def test_everything_below_the_folder_is_shown_and_goes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(home)
    root = CachePaths(home).root
    assert run(["cache", "--json"]) == 0
    before = shown(capsys)
    counted = {name: share["entries"] for name, share in before["kinds"].items()}
    single = dict.fromkeys(("checkpoints", "trees", "data", "exports", "cells", "accept"), 1)
    assert counted == {**single, "replicates": 3, "sources": 2}
    listed = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    assert before["size"] == sum(path.lstat().st_size for path in listed)
    assert before["size"] == sum(share["size"] for share in before["kinds"].values()) and before["entries"] == 11
    assert run(["cache"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("11 entries, ") and first.endswith(f", in {root}")
    assert [line.split()[:2] for line in lines[:2]] == [["replicates", "3"], ["checkpoints", "1"]]
    assert lines[1].endswith(" 5.05 kB")
    assert run(["cache", "--prune", "0", "--json"]) == 0
    after = shown(capsys)
    assert (after["entries"], after["size"], after["freed"], after["kinds"]) == (0, 0, before["size"], {})
    assert not [path for path in root.rglob("*") if not path.is_dir()], "no file is left, locks of the dead included"
    assert (home / "dvc.yaml").exists(), "a link is not followed"


def test_what_was_longest_out_of_use_goes_first_whatever_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = laid_out(home)
    size = cache_pruning.prune(CachePaths(home).root, 10**9) and sum(
        one.size for one in cache_pruning.found(CachePaths(home).root)
    )
    for gone in reversed(made):
        assert gone.exists()
        size -= 1
        assert run(["cache", "--prune", str(size), "--json"]) == 0
        assert not gone.exists()
        size = shown(capsys)["size"]
    assert cache_pruning.found(CachePaths(home).root)[0].kind == "replicates"


HOLDING = f"""
import sys, time
sys.path.insert(0, {str(Path(cache_pruning.__file__).parents[2])!r})
from pathlib import Path
from assay.runtime.file_locks import Lock
from assay.runtime import cache_dirs as places
for path in sys.argv[1:-1]: places.hold(Path(path))
Lock.take(Path(sys.argv[-1]), wait=True)
print("held", flush=True)
time.sleep(60)
"""


def test_what_a_running_process_holds_stays_until_it_ends(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = laid_out(home)[:5]
    replicate = CachePaths(home).replicates / "entry1"
    command = [sys.executable, "-c", HOLDING, *map(str, made), str(replicate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert run(["cache", "--prune", "0", "--json"]) == 0
        after = shown(capsys)
        assert all((path / "deep" / "file").exists() for path in made) and (replicate / "weights").exists()
        assert (after["entries"], after["stayed"]) == (6, 6)
        assert [path.name for path in CachePaths(home).root.rglob("*.lock")] == ["entry1.lock"]
        assert run(["cache", "--prune", "0"]) == 0
        assert "6 of them are in use by running processes, or may not be written, and stay" in capsys.readouterr().out
        holder.kill()
    assert run(["cache", "--prune", "0", "--json"]) == 0
    assert shown(capsys)["entries"] == 0 and not list(CachePaths(home).root.rglob("*.lock"))


def test_what_is_held_costs_nothing_else_its_place(home: Path) -> None:
    """Bytes that cannot be freed do not count: what fits beside them stays."""
    root = CachePaths(home).root
    kept = root / "data" / "large"
    kept.mkdir(parents=True)
    (kept / "inputs.npy").write_bytes(bytes(100_000))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(kept), str(root / "other")], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        pruned = [cache_pruning.prune(root, limit) for limit in (50_000, 5_000)]
        holder.kill()
    assert pruned[0].freed == 0
    assert 0 < pruned[1].freed < 3_000 and pruned[1].stayed == 1 and kept.exists()


def test_refuses_a_size_it_does_not_understand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "--prune", "lots"]) == 2
    assert capsys.readouterr().err == "assay: --prune is 'lots'; allowed: a size such as 0, 500M or 2G\n"


def test_a_folder_in_the_making_stays(home: Path) -> None:
    store = CachePaths(home)
    with cache_dirs.scratch(store.data) as folder:
        (folder / "half").write_bytes(bytes(100))
        cache_pruning.prune(store.root, 0)
        assert (folder / "half").is_file()
    assert not folder.exists()


def test_one_that_is_removed_before_it_is_held_is_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, seen = tempfile.mkdtemp, list[str]()

    def pruned_at_once(**asked: str) -> str:
        seen.append(make(**asked))
        if len(seen) == 1:
            Path(seen[0]).rmdir()
        return seen[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", pruned_at_once)
    with cache_dirs.scratch(CachePaths(home).data) as folder:
        assert folder.is_dir() and folder == Path(seen[1])
