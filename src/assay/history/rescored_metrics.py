"""Scores of experiments under later metric versions: one ref a version, one file an experiment.

A thousand experiments would be a thousand tags; experiments do not travel by themselves either: `assay sync` takes the
tables along. A ref that an earlier version wrote points at one table and no commit: it is read, and written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from assay.core.schemas import DAMAGE
from assay.runtime import append_only_ref
from assay.runtime.append_only_ref import Grown
from assay.runtime.git_objects import refs
from assay.tags.strategy_events import Score

FOLDER = "refs/assay/rescored"


class RescoredScore(Score, frozen=True, omit_defaults=True):
    """A score, and what the metric imported for it, "" where an earlier version did not note it."""

    packages: str = ""  # with their versions


#: metric version → commit → score
Tables = dict[str, dict[str, RescoredScore]]


def tables(root: Path) -> Tables:
    """All tables. A score that cannot be read is left out: it can be made again."""
    found = [ref.name for ref in refs(root, FOLDER)]
    every = zip(found, append_only_ref.read(root, *found), strict=True)
    return {name.removeprefix(f"{FOLDER}/"): _table(scored) for name, scored in every}


def _table(found: Grown) -> dict[str, RescoredScore]:
    table = {}
    for path, content in files(found).items():
        try:
            table[path.replace("/", "").removesuffix(".json")] = msgspec.json.decode(content, type=RescoredScore)
        except DAMAGE:
            continue
    return table


def files(found: Grown) -> Mapping[str, bytes]:
    """Files of a table, also of one that an earlier version wrote."""
    if found.blob is None:
        return found.files
    try:
        return _files(msgspec.json.decode(found.blob, type=dict[str, RescoredScore]))
    except DAMAGE:
        return {}


def _files(scores: Mapping[str, Score]) -> dict[str, bytes]:
    return {f"{commit[:2]}/{commit[2:]}.json": msgspec.json.encode(score) + b"\n" for commit, score in scores.items()}


def write(root: Path, version: str, scores: Mapping[str, Score]) -> None:
    """Add `scores` (commit → score) to the table of `version`."""
    append_only_ref.grow(root, f"{FOLDER}/{version}", lambda now: {**files(now), **_files(scores)})
