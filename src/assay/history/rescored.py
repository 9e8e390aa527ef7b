"""Scores of experiments under later metric versions: one ref a version, a table of commits.

A thousand experiments would be a thousand tags; experiments do not travel by themselves either.
`git push origin 'refs/assay/*'` takes the tables along.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.evidence.events import Score
from assay.history import plumbing
from assay.lineage.objects import Objects, reading, refs
from assay.words.records import DAMAGE

FOLDER = "refs/assay/rescored"
#: metric version → commit → score
Tables = dict[str, dict[str, Score]]


def tables(root: Path) -> Tables:
    with reading(root) as objects:
        return read(root, objects)


def read(root: Path, objects: Objects) -> Tables:
    """All tables. One that cannot be read is left out: it can be made again."""
    found = refs(root, FOLDER)
    known: Tables = {}
    for ref, item in zip(found, objects.read([ref.object for ref in found]), strict=True):
        try:
            known[ref.name.removeprefix(f"{FOLDER}/")] = msgspec.json.decode(
                item.content if item else b"", type=dict[str, Score]
            )
        except DAMAGE:
            continue
    return known


def write(root: Path, version: str, scores: dict[str, Score]) -> None:
    """Replace the table of `version`, whole."""
    content = msgspec.json.format(msgspec.json.encode(scores), indent=1)
    blob = plumbing.call(root, "hash-object", "-w", "--stdin", stdin=content)
    plumbing.call(root, "update-ref", f"{FOLDER}/{version}", blob)
