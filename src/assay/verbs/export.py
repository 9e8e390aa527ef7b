"""`assay export` and `assay.load`: the model of an accepted strategy, ready to predict.

Covers: which strategy, fetching what Git and DVC keep of it, a folder that appears whole or not at all, a
copy in our cache for `load`. Not covered: the folder's content (`serving.packing`).
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from assay.arms import accepted
from assay.history import lookup, outputs, project
from assay.history.reading import read
from assay.history.state import Strategy, fold
from assay.outside import pipeline
from assay.serving.packing import Kept, needed, pack
from assay.serving.predict import BrokenError, Predictor
from assay.words.errors import UsageError
from assay.words.layout import Layout, Store


@dataclass(frozen=True)
class Exported:
    """Where the model is, and what it is; `difference` is the largest to the stored predictions."""

    folder: Path
    strategy: str
    commit: str
    replicates: list[int]
    classes: list[str] | None
    difference: float


def export(start: Path, name: str, folder: Path, ensemble: bool = False) -> Exported:
    """Write the model of `strategy/NAME` into `folder`: its first replicate, or all of them.

    Raises UsageError for a strategy that is not there or was revoked, a folder that is not empty, outputs that
    are nowhere to be had (with the `dvc pull` to run), or a model that does not predict what it predicted.
    """
    layout = project.find(start)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", allowed="a new or an empty folder", mend=f"rm -r '{folder}'")
    strategy = _strategy(layout, name)
    difference = _place(layout, strategy, folder, ensemble)
    made = Predictor(folder)
    return Exported(folder, made.strategy, made.commit, made.replicates, made.classes, difference)


def load(name: str, *, ensemble: bool = False, device: str = "cpu", project_folder: str | Path = ".") -> Predictor:
    """The model of the accepted strategy `strategy/NAME` of the project around `project_folder`.

    `predict(inputs)` takes raw examples (N, …) and gives predictions (N, …) of the first replicate, drawn by
    lot and not by score; with `ensemble` the mean over all replicates. Raises as `export` does.
    """
    layout = project.find(Path(project_folder))
    strategy = _strategy(layout, name)
    folder = Store(layout.root).export(strategy.tag.commit, ensemble)
    try:
        return Predictor(folder, device)
    except BrokenError:
        shutil.rmtree(folder, ignore_errors=True)
    _place(layout, strategy, folder, ensemble)
    return Predictor(folder, device)


def _strategy(layout: Layout, name: str) -> Strategy:
    state = fold(read(layout.root).tags)
    found = lookup.strategy(state, name)
    if found.revoked is not None:
        standing = [one.tag.name for one in state.strategies.values() if one.revoked is None]
        raise UsageError(
            f"{found.tag.name} was revoked", allowed=", ".join(standing) or "none stands", mend="assay log"
        )
    return found


def _place(layout: Layout, strategy: Strategy, folder: Path, ensemble: bool) -> float:
    """Make the model beside `folder` and rename it: killed at any moment, there is no half of one."""
    tag, commit = strategy.tag.name, strategy.tag.commit
    tree = accepted.unpack(pipeline.current(layout.root), commit)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        fetched = Path(scratch) / "fetched"
        outputs.fetch(layout.root, commit, tag, needed(tag, tree), fetched)
        kept = Kept(tag, commit, strategy.accepted.metric_version, tree, Layout(fetched))
        difference = pack(kept, Path(scratch) / "model", ensemble)
        _put(Path(scratch) / "model", folder)
    return difference


def _put(made: Path, folder: Path) -> None:
    try:
        made.replace(folder)  # takes the place of an empty folder, too
    except OSError as error:
        if not (folder / "model.json").is_file():  # else another process was faster
            raise UsageError(f"{folder} cannot be written ({error.strerror})", mend="choose another folder") from error
