"""Which replicates candidates train: numbers that begin at a place of their own for each baseline.

A strategy is tried because its replicates did well. Candidates with the same numbers share that luck where they come
near it, and the baseline, which stands with fresh ones, does not: with each new baseline candidates draw anew. Not
covered: the numbers that an accepted strategy stands with (`baseline.accepted_strategy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.baseline import accepted_strategy
from assay.baseline.accepted_strategy import FLOOR, AcceptedStrategy
from assay.core import schemas, variation
from assay.core.params_yaml import SPAN
from assay.core.paths import ProjectPaths
from assay.core.schemas import Draw
from assay.runtime import files, git
from assay.tags.strategy_events import Accepted as Confirmed

CANDIDATE = "candidate"
#: a paired design shares the replicates of both arms
PAIRED = "paired"
#: values of judge.test by which arms share their replicates, one by one
SHARED = (PAIRED, variation.RESAMPLED)


def of_candidates(home: Path, baseline: AcceptedStrategy, test: str) -> Draw:
    """The draw of all candidates that are measured against `baseline`."""
    return Draw(purpose=PAIRED if test in SHARED else CANDIDATE, first=place(home, baseline.commit))


def of_baseline(baseline: AcceptedStrategy, candidates: Draw) -> AcceptedStrategy:
    """`baseline` with the replicates that it trains: in a paired design those of the candidates."""
    if baseline.name == FLOOR or candidates.purpose != PAIRED:
        return baseline
    return msgspec.structs.replace(baseline, purpose=PAIRED, first=candidates.first)


def varying(baseline: AcceptedStrategy, candidates: Draw, vary: Sequence[str]) -> tuple[AcceptedStrategy, Draw]:
    """Both with what differs between replicates, so that their stages run again where that changes.

    A floor is fitted on each split, and so has the numbers of the candidates.
    """
    if variation.is_all(vary):
        return baseline, candidates
    named = [kind for kind in variation.NAMES if kind in vary]
    drawn = msgspec.structs.replace(candidates, vary=named)
    if baseline.name != FLOOR:
        return msgspec.structs.replace(baseline, vary=named), drawn
    if variation.SPLIT not in vary:  # a floor has no replicates
        return baseline, drawn
    return msgspec.structs.replace(baseline, vary=named, purpose=drawn.purpose, first=drawn.first), drawn


def place(home: Path, commit: str) -> int:
    """The first number of candidates measured against `commit`, however it is called: by when it was accepted.

    0 without evidence that can be verified. To measure it again is no new place, and to revoke leads back to the old.
    """
    if not commit:
        return 0
    asked = ("for-each-ref", "--format=%(refname:strip=2)", f"--points-at={commit}", "refs/tags/strategy")
    events = (accepted_strategy.event(home, tag, commit) for tag in git.run(home, *asked).split("\n") if tag)
    return first([one.sequence for one in events if isinstance(one, Confirmed)])


def first(sequences: Sequence[int]) -> int:
    """The place that belongs to the events by which a commit was accepted; the earliest one keeps it."""
    return SPAN * min(sequences, default=0)


def today(layout: ProjectPaths) -> Draw:
    """The candidates' draw as `context` found it."""
    hint = "dvc repro context"
    return schemas.decode(files.read_bytes(layout.draw, hint), Draw, str(layout.draw), hint)
