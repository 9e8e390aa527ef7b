"""`assay export` and `assay.load`: the model of an accepted strategy, ready to predict.

Covers: which strategy, fetching what Git and DVC keep of it, a folder that appears whole or not at all, a
copy in our cache for `load`. Not covered: the folder's content (`serving.export_folder`).
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from assay.baseline import accepted_strategy
from assay.core.errors import UsageError
from assay.core.paths import ProjectPaths
from assay.history import dvc_outputs, name_lookup
from assay.history.experiments import read
from assay.history.strategy_status import Strategy, fold
from assay.runtime import cache_dirs, dvc_yaml, project_root, script_source
from assay.serving import raw_examples
from assay.serving.export_folder import StoredStrategy, needed, pack
from assay.serving.predict import MODEL, BrokenError, Predictor

#: why a script's strategy is no model
NOT_OPENED = "the files of task.keep are its own, and are never opened here"


@dataclass(frozen=True)
class Exported:
    """Where the model is, and what it is; `difference` is the largest to the stored predictions, `inputs` an example of
    what predict.py takes."""

    folder: Path
    strategy: str
    commit: str
    replicates: list[int]
    classes: list[str] | None
    difference: float
    inputs: str


def export(start: Path, name: str, folder: Path, ensemble: bool, say: cache_dirs.Say) -> Exported:
    """Write the model of `strategy/NAME` into `folder`: its first replicate, or all of them.

    `say` is told when our cache takes nothing. Raises UsageError for a strategy that is not there or was revoked, a
    folder that is not empty, outputs that are nowhere to be had (with the `dvc pull` to run), or a model that does
    not predict what it predicted.
    """
    layout = project_root.find(start)
    script_source.refuse(layout.root, NOT_OPENED, "dvc get . models/candidate --rev strategy/NAME")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", allowed="a new or an empty folder", hint=f"rm -r '{folder}'")
    strategy = _strategy(layout, name)
    try:
        difference = _place(layout, strategy, folder, ensemble, say)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})", hint="choose another folder") from error
    made = Predictor(folder)
    inputs = raw_examples.EXAMPLES[made.info.get("form", "")]
    return Exported(folder, made.strategy, made.commit, made.replicates, made.classes, difference, inputs)


def load(name: str | Path, *, ensemble: bool = False, device: str = "cpu") -> Predictor:
    """Model of the accepted strategy `strategy/NAME` in the project around here, or of an exported folder.

    Its `predict(inputs)` takes raw examples as `prepare()` makes them: an array (N, …), a DataFrame, a list of texts,
    of paths, or of arrays. It gives class probabilities (N, classes), or values (N, …), of the first replicate, drawn
    by lot and not by score; with `ensemble` the mean over all replicates. A folder holds what it was
    exported with. `device`: `cpu`, or an accelerator that torch sees.

    Raises `UsageError` for a strategy that is not there or was revoked, outputs that are nowhere to be had (with the
    `dvc pull` to run), a damaged folder, and a device that torch lacks.
    """
    _check_device(device)
    if (Path(name) / MODEL).is_file():
        return _open_exported(Path(name), ensemble, device)
    layout = project_root.find(Path.cwd())
    script_source.refuse(layout.root, NOT_OPENED, "dvc get . models/candidate --rev strategy/NAME")
    strategy = _strategy(layout, str(name))
    folder = dvc_yaml.store(layout.root).export(strategy.tag.object, ensemble)
    cache_dirs.hold(folder)
    try:
        return Predictor(folder, device)
    except BrokenError:  # not there yet, or edited: a cache is made again
        shutil.rmtree(folder, ignore_errors=True)
    return Predictor(_cached(layout, strategy, folder, ensemble), device)


def _cached(layout: ProjectPaths, strategy: Strategy, folder: Path, ensemble: bool) -> Path:
    """The model in `folder` of our cache, or where that takes nothing in one that ends with this process."""

    def make(where: Path) -> Path:
        _place(layout, strategy, where, ensemble, warnings.warn)
        cache_dirs.hold(where)
        return where

    return cache_dirs.place(make, folder, warnings.warn)


def _open_exported(folder: Path, ensemble: bool, device: str) -> Predictor:
    try:
        found = Predictor(folder, device)
    except BrokenError as error:
        raise UsageError(str(error)) from error
    if ensemble and len(found.replicates) == 1:
        hint = f"assay export {found.strategy} --to ANOTHER --ensemble"
        raise UsageError(f"{folder} holds replicate {found.replicates[0]} alone", hint=hint)
    return found


def _check_device(name: str) -> None:
    try:
        torch.zeros((), device=name)
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise UsageError(f"device {name!r}: {said}", allowed="cpu, or an accelerator that torch sees") from error


def _strategy(layout: ProjectPaths, name: str) -> Strategy:
    state = fold(read(layout.root, experiments=False).tags)
    found = name_lookup.strategy(state, name)
    if found.revoked is not None:
        standing = [one.tag.name for one in state.strategies.values() if one.revoked is None]
        raise UsageError(
            f"{found.tag.name} was revoked", allowed=", ".join(standing) or "no strategy", hint="assay log"
        )
    return found


def _place(layout: ProjectPaths, strategy: Strategy, folder: Path, ensemble: bool, say: cache_dirs.Say) -> float:
    """Make the model beside `folder` and rename it: killed at any moment, there is no half of one.

    Raises OSError where `folder` cannot be written.
    """
    tag, commit = strategy.tag.name, strategy.tag.commit
    folder.parent.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder.parent).close()  # found writable before anything is fetched
    tree = accepted_strategy.unpack(dvc_yaml.current(layout.root), commit, say)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        cache_dirs.hold(Path(scratch))
        fetched = Path(scratch) / "fetched"
        dvc_outputs.fetch(layout.root, commit, tag, needed(tag, tree), fetched)
        kept = StoredStrategy(tag, commit, strategy.accepted, tree, ProjectPaths(fetched))
        difference = pack(kept, Path(scratch) / "model", ensemble)
        _put(Path(scratch) / "model", folder)
    return difference


def _put(made: Path, folder: Path) -> None:
    try:
        made.replace(folder)  # takes the place of an empty folder, too
    except OSError:
        if not (folder / MODEL).is_file():  # else another process was faster
            raise
