"""both: what the arms lack, trained into the cache at once, while `baseline` is at work; no stage of dvc.yaml.

`python src/stage.py both`, started by the stage `baseline`, which tells it the path of the baseline's request and its
tree on stdin, or nothing, and reads what it says (`ahead.arms`). It makes no output of a stage, so that no stage
depends on it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from assay.arms.request import ALONE, request, training_closure
from assay.keeping import answers
from assay.keeping import sample as samples
from assay.outside import closure, files, lifeline, provenance, remembered
from assay.outside.start import Start, start
from assay.words import params, records
from assay.words.params import Params
from assay.words.records import MeasureRequest


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    if ALONE in os.environ:
        return
    begun = start(root, "train")
    ours = _asked(begun)
    settings = answers.requested(ours, root)
    sample = samples.read(ours, settings)
    if answers.are_at_hand(ours, settings, sample):
        return
    if lifeline.processors() == 1 and not _alike(ours, settings):
        return
    ahead = importlib.import_module("assay.ahead.arms")  # while the baseline is being prepared
    arms = [(ours, settings), *_alike(ours, settings)]
    scratch = begun.run.store.root / "both"
    ahead.train(root, [ahead.Arm(*arm) for arm in arms], sample, scratch, lambda said: print(said, flush=True))


def _asked(begun: Start) -> MeasureRequest:
    """What the stage `train` will ask for, with the same proof of its code."""
    root = begun.layout.root
    remembered.load(begun.run.store.sources)
    reached = training_closure(root, begun.params.task.name)
    provenance.check(root, "train", begun.dependencies, [file.as_posix() for file in reached])
    return request(begun, "candidate", begun.layout.part("train"), closure.code_hash(root, reached))


@cache
def _told() -> list[str]:
    said = sys.stdin.buffer.read()
    return [os.fsdecode(path) for path in said.split(b"\0") if said]


def _alike(ours: MeasureRequest, settings: Params) -> list[tuple[MeasureRequest, Params]]:
    """The baseline's part, where the same code trains on the same examples and lanes can hold what differs."""
    if not _told():
        return []
    path, tree = _told()
    theirs = records.decode(files.read_bytes(Path(path)), MeasureRequest, path)
    same = (ours.code, ours.train, ours.evaluate, ours.profile)
    if same != (theirs.code, theirs.train, theirs.evaluate, theirs.profile):
        return []
    other = answers.requested(theirs, Path(tree))
    return [(theirs, other)] if params.alike(settings) == params.alike(other) else []
