"""Files that the training of an accepted strategy reads and Git does not keep, pretrained weights for example.

Covers: linking them into its tree, from our cache, through DVC, or from the user's folder where their hash is the one
in its dvc.lock. Not covered: the training part of its examples (`baseline.baseline_training_data`).
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.paths import LOCK
from assay.runtime import cache_dirs, dvc_hash, dvc_lock, dvc_yaml
from assay.runtime.dvc_fetch import fetch
from assay.runtime.dvc_yaml import Run

_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")


def training_files(content: bytes) -> dict[str, str]:
    """Path → DVC's hash of what the stage `train` depends on and no stage writes, by a dvc.lock."""
    stages = dvc_lock.stages(content)
    written = {path for stage in stages.values() for path in dvc_lock.hashes(stage, "outs")}
    read = dvc_lock.hashes(stages.get("train", {}), "deps")
    return {path: known for path, known in read.items() if not dvc_yaml.within(path, written)}


def link(run: Run, commit: str, tree: Path, say: cache_dirs.Say) -> None:
    """Link into `tree`, the files of `commit`, what its training reads beside them.

    Raises UsageError naming what is nowhere at hand. `say` is told where our cache does not take it.
    """
    lock = tree / LOCK
    for path, known in training_files(lock.read_bytes()).items() if lock.is_file() else ():
        place = tree / path
        if Path(path).is_absolute() or (place.exists() and not _leads(place, run.home / path)):
            continue
        if not place.parent.resolve().is_relative_to(tree.resolve()) or not _HASH.fullmatch(known):
            raise UsageError(
                f"{path}, which the training of {commit[:12]} reads, lies outside of its project",
                hint="accept a strategy again that depends on it by its absolute path",
            )
        target = _found(run, commit, path, known, say)
        if not _leads(place, target):
            place.parent.mkdir(parents=True, exist_ok=True)
            aside = place.with_name(f".{place.name}.{os.getpid()}")
            aside.symlink_to(target)
            aside.replace(place)  # whole at any moment: other runs use this tree


def _leads(place: Path, target: Path) -> bool:
    """Whether `place` is a link to `target`; one to the user's own file may be so no longer."""
    return place.is_symlink() and place.readlink() == target


def _found(run: Run, commit: str, path: str, known: str, say: cache_dirs.Say) -> Path:
    kept = run.store.foreign(known)
    cache_dirs.hold(kept)
    if kept.exists():
        return kept
    if dvc_hash.digest(run.home / path) == known:
        return run.home / path
    return cache_dirs.place(lambda where: fetched(run, commit, path, where), kept, say)


def fetched(run: Run, commit: str, path: str, kept: Path) -> Path:
    """`kept`, with what DVC has at `path` as of `commit`. Raises UsageError where no cache and no remote has it."""
    with cache_dirs.scratch(kept.parent) as scratch:
        out = scratch / "out"
        if said := fetch((run.home, dvc_yaml.main(run.home)), path, commit, out):
            raise UsageError(
                f"{path}, which the training of {commit[:12]} reads, is not available ({said[:200]})",
                hint=f"git checkout {commit[:12]} && dvc pull {path} && git checkout -",
            )
        if not kept.exists():  # else another run was faster
            out.rename(kept)
    cache_dirs.hold(kept)
    if not kept.exists():
        raise FileNotFoundError(errno.ENOENT, "removed while it was fetched", str(kept))
    return kept
