"""`task.files`: what a script reads besides what it imports, where it lies, and a hash of what it holds.

Covers: files that Git tracks, which every copy of the tree has; those that DVC tracks, which count by the hash in their
.dvc file or dvc.lock; all others, which count by their content, hashed again when size, time or inode changed. For an
accepted strategy what is in neither Git nor DVC is today's. Not covered: linking them into a copy (`script.tree_copy`).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.baseline import untracked_training_inputs
from assay.core.errors import UsageError
from assay.core.paths import LOCK
from assay.core.yaml12 import parse
from assay.runtime import cache_dirs, dvc_hash, dvc_lock, files, git, metric_input_files, source_analysis_cache
from assay.runtime import source_roots as trees
from assay.runtime.dvc_cli import DVC
from assay.runtime.dvc_yaml import Run

GIT, DVC_KEEPS, TODAY = "git", "dvc", "today"
#: states of a file or folder: name, size, time, inode
States = list[tuple[str, int, int, int]]
Finder = Callable[[], str]


@dataclass(frozen=True)
class InputFile:
    """One entry of `task.files`. `place` is where it lies on this machine, None where every copy has it."""

    name: str
    kind: str  # git, dvc or today
    digest: str
    place: Path | None


def of_work_tree(run: Run, names: list[str]) -> list[InputFile]:
    """The entries as the work tree that runs has them. Raises UsageError for one that is not there."""
    return [_entry(run, run.layout.root, "", _checked(name)) for name in dict.fromkeys(names)]


def of_commit(run: Run, tree: Path, commit: str, names: list[str]) -> list[InputFile]:
    """The entries as the accepted `commit`, unpacked at `tree`, had them; what nobody keeps is today's."""
    return [_entry(run, tree, commit, _checked(name)) for name in dict.fromkeys(names)]


def _checked(name: str) -> str:
    path = os.path.normpath(name)
    if not name.strip() or path in (".", ".."):
        raise UsageError(
            f"params.yaml: task.files names {name!r}",
            allowed="files and folders, as seen from the folder of dvc.yaml",
        )
    return path


def _entry(run: Run, tree: Path, commit: str, name: str) -> InputFile:
    if not Path(name).is_absolute():
        if known := _recorded(tree, name):
            return InputFile(name, DVC_KEEPS, known[1], _kept(run, commit, name, known))
        if not name.startswith("..") and _is_tracked(tree, name):  # a copy has no other files from above its folder
            return InputFile(name, GIT, content(tree / name), None)
    place = _here(run, name)
    if place is None:
        raise UsageError(
            f"params.yaml: task.files names {name}, and there is no such file or folder",
            hint=f"bring it to {name}, or take it out of task.files",
        )
    return InputFile(name, TODAY, content(place), place)


def _here(run: Run, name: str) -> Path | None:
    """Where it lies: in the work tree that runs, else in the user's, which a copy of it was made from."""
    return next((root / name for root in (run.layout.root, run.home) if (root / name).exists()), None)


def _is_tracked(tree: Path, name: str) -> bool:
    """Whether Git tracks it as a whole; a folder with other files inside is not."""
    if (trees.top(tree) / trees.SEAL).exists():
        return (tree / name).exists() and not (tree / name).is_symlink()
    listed = [git.run(tree, "--literal-pathspecs", "ls-files", "-z", *kind, "--", name) for kind in ((), ("--others",))]
    return bool(listed[0]) and not any("__pycache__" not in other for other in listed[1].split("\0") if other)


def _recorded(tree: Path, name: str) -> tuple[str, str] | None:
    """The file of DVC's that knows it, and the hash there; of a folder above where that is what DVC tracks."""
    for pointer in metric_input_files.pointers(name):
        if (tree / pointer).is_file():
            outs = parse((tree / pointer).read_bytes(), pointer).get("outs") or []
            return pointer, str(next((out.get("md5") for out in outs), ""))
    lock = tree / LOCK
    known = dvc_lock.output_hash(lock.read_bytes(), name) if lock.is_file() else ""
    return (LOCK, known) if known else None


def _kept(run: Run, commit: str, name: str, known: tuple[str, str]) -> Path:
    """Where content with this hash lies: today's, or brought through DVC. Raises UsageError where it is edited."""
    pointer, digest = known
    tracked = pointer.removesuffix(".dvc") if pointer != LOCK else name
    place = _here(run, tracked)
    if place is not None and _as_dvc(place) == digest:
        return place.parent / os.path.relpath(name, Path(tracked).parent)
    if place is not None and not commit and place.is_relative_to(run.layout.root):
        if _is_clean(run, pointer, place):
            return place.parent / os.path.relpath(name, Path(tracked).parent)
        raise UsageError(
            f"{tracked} holds other data than {pointer} says",
            hint=f"dvc add {tracked}" if pointer.endswith(".dvc") else "dvc repro, so that dvc.lock knows it",
        )
    revision = commit or git.run(run.layout.root, "rev-parse", "HEAD")
    kept = run.store.foreign(digest)
    cache_dirs.hold(kept)
    found = (
        kept
        if kept.exists()
        else cache_dirs.place(
            lambda where: untracked_training_inputs.fetched(run, revision, tracked, where), kept, cache_dirs.unsaid
        )
    )
    return found / os.path.relpath(name, tracked) if name != tracked else found


def _is_clean(run: Run, pointer: str, place: Path) -> bool:
    """Whether DVC itself, which knows older kinds of hashes and .dvcignore, sees no difference."""
    if not pointer.endswith(".dvc"):
        return False
    asked = [*DVC, "status", "--json", pointer]
    done = subprocess.run(asked, cwd=run.layout.root, capture_output=True, encoding="utf-8", errors="replace")
    try:
        found = json.loads(done.stdout[done.stdout.find("{") :])
    except ValueError:
        return False
    return done.returncode == 0 and not found and place.exists()


def states(place: Path) -> States:
    """Size, time and inode of a file, or of each file in a folder."""
    found = [place] if not place.is_dir() else _inside(place)
    pairs = ((path, path.stat()) for path in found)
    return [(os.path.relpath(path, place), one.st_size, one.st_mtime_ns, one.st_ino) for path, one in pairs]


def _inside(folder: Path) -> list[Path]:
    found = (Path(above, name) for above, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if "__pycache__" not in path.parts and path.is_file())


def content(place: Path) -> str:
    """Hash over names and contents; remembered for what has the same states."""
    return _remembered("content", place, lambda: _hashed(place))


def _as_dvc(place: Path) -> str:
    return _remembered("dvc", place, lambda: dvc_hash.digest(place))


def _remembered(kind: str, place: Path, find: Finder) -> str:
    key = files.digest(json.dumps([kind, str(place), states(place)]).encode("utf-8", "surrogateescape"))
    known = source_analysis_cache.recall(key)
    return (known or source_analysis_cache.learn(key, [find()]))[0]


def _hashed(place: Path) -> str:
    total = hashlib.blake2b(digest_size=16)
    for path in [place] if not place.is_dir() else _inside(place):
        total.update(f"{os.path.relpath(path, place)}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        for block in _blocks(path):
            total.update(block)
    return total.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            yield block
