"""both: what the arms lack, trained into the cache at once, while `baseline` is at work; no stage of dvc.yaml.

`python src/stage.py both`, started by the stage `baseline`, which tells it the path of the baseline's request and its
tree on stdin, or nothing, and reads what it says (`words.records`). It makes no output of a stage, so that no stage
depends on it, and whatever becomes of it, the stages do the rest.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from assay.arms.request import ALONE, request, today, training_closure
from assay.keeping import answers
from assay.keeping import sample as samples
from assay.keeping.sample import Sample
from assay.outside import closure, files, lifeline, provenance, remembered
from assay.outside.start import Start, start
from assay.words import params, records
from assay.words.params import Params
from assay.words.records import APART, Arm, MeasureRequest


def main(root: Path, _arguments: Sequence[str], _protocol: int) -> None:
    if ALONE in os.environ:
        return
    begun = start(root, "train")
    ours = _asked(begun)
    settings = answers.requested(ours, root)
    sample = samples.read(ours, settings)
    if _up_to_date(begun, ours, settings, sample) or answers.are_at_hand(ours, settings, sample):
        return
    spare = lifeline.processors() > 1 and today(begun).device == "cpu"
    # Two trainings on two processors are sooner done than one of twice as many lanes on one of them.
    arms = [(ours, settings), *([] if spare else _alike(ours, settings))]
    if len(arms) == 1:
        _say(APART)
        if not spare:
            return
    ahead = importlib.import_module("assay.ahead.arms")
    ahead.train(root, [ahead.Arm(*arm) for arm in arms], sample, begun.run.store.root / "both", _say)


def _say(word: str) -> None:
    print(word, flush=True)


def _asked(begun: Start) -> MeasureRequest:
    """What the stage `train` will ask for, with the same proof of its code."""
    root = begun.layout.root
    remembered.load(begun.run.store.sources)
    reached = training_closure(root, begun.params.task.name)
    provenance.check(root, "train", begun.dependencies, [file.as_posix() for file in reached])
    return request(begun, "candidate", begun.layout.part("train"), closure.code_hash(root, reached))


def _up_to_date(begun: Start, ours: MeasureRequest, settings: Params, sample: Sample) -> bool:
    """Whether the candidate's record answers this very request: DVC will not ask for it again."""
    path = begun.layout.record("candidate")
    if not path.is_file():
        return False
    found = records.decode(files.read_bytes(path), Arm, str(path))
    made = found.measurement
    return made is not None and (
        (made.identity, made.purpose, made.profile, found.environment.key)
        == (answers.identity(ours, settings, sample), ours.purpose, ours.profile, ours.environment)
        and [one.number for one in made.replicates] == ours.replicates
        and found.evaluated == sample.seen
    )


def _alike(ours: MeasureRequest, settings: Params) -> list[tuple[MeasureRequest, Params]]:
    """The baseline's part, where the same code trains on the same examples and lanes can hold what differs."""
    told = sys.stdin.buffer.read()
    if not told:
        return []
    path, tree = (os.fsdecode(one) for one in told.split(b"\0"))
    theirs = records.decode(files.read_bytes(Path(path)), MeasureRequest, path)
    same = (ours.code, ours.train, ours.evaluate, ours.profile)
    if same != (theirs.code, theirs.train, theirs.evaluate, theirs.profile):
        return []
    other = answers.requested(theirs, Path(tree))
    mine, its = (params.strategy(params.alike(one)) for one in (settings, other))
    return [(theirs, other)] if mine == its else []
