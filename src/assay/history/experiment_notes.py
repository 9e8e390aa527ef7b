"""Notes: what people learned from an experiment, in `refs/assay/notes`, one file a note that is only ever added.

Covers: writing one, reading all by the commit they are about. Not covered: finding the commit (`history.name_lookup`),
sharing (`commands.sync`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from assay.core.schemas import DAMAGE, Record
from assay.runtime import append_only_ref, files, git
from assay.runtime.append_only_ref import NOTES, Grown


class ExperimentNote(Record, frozen=True, kw_only=True):
    """One note. `number`: how many its writer knew of that commit before, plus one: order never comes from a clock."""

    commit: str
    text: str
    author: str
    date: str  # YYYY-MM-DD, for people to read
    number: int

    @property
    def line(self) -> str:
        """`warm-up alone does it (Ada Lovelace, 2026-11-30)`."""
        return f"{self.text} ({self.author}, {self.date})"


#: commit → its notes, in order
Notes = Mapping[str, Sequence[ExperimentNote]]


def read(root: Path) -> Notes:
    """All notes. One that cannot be read is left out here; `damaged` counts these."""
    return _by_commit(append_only_ref.read(root, NOTES)[0])


def damaged(root: Path) -> int:
    """How many files of the ref are no notes, or not of this version."""
    (found,) = append_only_ref.read(root, NOTES)
    return len(found.files) - sum(map(len, _by_commit(found).values()))


def add(root: Path, commit: str, text: str, author: str) -> ExperimentNote:
    """Write `text` beside `commit`; the same words by the same author are one note, however often they are said."""
    written: list[ExperimentNote] = []

    def more(now: Grown) -> Mapping[str, bytes]:
        known = _by_commit(now).get(commit, ())
        same = next((one for one in known if (one.text, one.author) == (text, author)), None)
        if same is not None:
            written.append(same)
            return {}
        today = datetime.now().astimezone().date().isoformat()
        written.append(ExperimentNote(commit=commit, text=text, author=author, date=today, number=len(known) + 1))
        content = msgspec.json.format(msgspec.json.encode(written[-1]), indent=1) + b"\n"
        return {_path(commit, content): content}

    append_only_ref.grow(root, NOTES, more)
    return written[-1]


def author(root: Path) -> str:
    """The name that Git would write, without the address."""
    return git.run(root, "var", "GIT_AUTHOR_IDENT").partition(" <")[0]


def _path(commit: str, content: bytes) -> str:
    return f"{commit[:2]}/{commit[2:]}/{files.digest(content)}.json"


def _by_commit(found: Grown) -> Notes:
    notes: dict[str, list[ExperimentNote]] = defaultdict(list)
    for path, content in found.files.items():
        try:
            note = msgspec.json.decode(content, type=ExperimentNote)
        except DAMAGE:
            continue
        if note.schema == 1 and path == _path(note.commit, content):
            notes[note.commit].append(note)
    return {commit: sorted(some, key=lambda one: (one.number, one.text)) for commit, some in notes.items()}
