"""The training part that an accepted strategy was trained on: today's, our cache's, or fetched through DVC."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from assay.baseline.accepted_strategy import AcceptedStrategy
from assay.core.errors import UsageError
from assay.core.paths import LOCK
from assay.data import storage
from assay.runtime import cache_dirs, dvc_lock, dvc_yaml, git
from assay.runtime.dvc_fetch import fetch
from assay.runtime.stage_setup import StageContext


def own_training_data(ctx: StageContext, named: AcceptedStrategy, say: cache_dirs.Say = cache_dirs.unsaid) -> Path:
    """Folder of the training part that the accepted strategy was trained on, fetched through DVC if need be.

    `say` is told where our cache does not take it.
    """
    path = ctx.layout.part("train").relative_to(ctx.layout.root).as_posix()
    then = dvc_lock.output_hash(git.read(ctx.run.home, named.commit, LOCK) or b"", path)
    if not then:
        raise UsageError(f"dvc.lock of baseline {named.name} does not know {path}", hint="accept a strategy again")
    now = dvc_lock.output_hash(ctx.layout.lock.read_bytes(), path) if ctx.layout.lock.is_file() else ""
    if then == now:
        return ctx.layout.part("train")
    folder = ctx.run.store.foreign(then)
    cache_dirs.hold(folder)
    if _readable(folder):
        return folder
    return cache_dirs.place(lambda where: _fetch(ctx, named, path, where), folder, say)


def _readable(folder: Path) -> bool:
    """Whether the part in our cache is there and unchanged."""
    try:
        storage.read(folder)
    except UsageError:
        return False
    return True


def _fetch(ctx: StageContext, named: AcceptedStrategy, path: str, folder: Path) -> Path:
    with cache_dirs.scratch(folder.parent) as scratch:
        out = scratch / "part"
        said = fetch((ctx.run.home, dvc_yaml.main(ctx.run.home)), path, named.commit, out)
        if said:
            raise UsageError(
                f"the training data of baseline {named.name} are not available ({said})",
                hint=f"git checkout {named.commit[:12]} && (dvc pull {path} || dvc repro split) && git checkout -",
            )
        if not _readable(folder):  # else another run was faster, and reads it
            shutil.rmtree(folder, ignore_errors=True)
            out.rename(folder)
    cache_dirs.hold(folder)
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "removed while it was fetched", str(folder))
    return folder
