"""The ledger of looks: `refs/assay/looks`, one file an entry, in the user's own repository whatever runs where.

Covers: reading it, naming what is damaged, adding entries before anybody is told a verdict, taking in the verdicts that
Git showed before there was a ledger. Not covered: what a look costs (`stats.alpha_budget`), sharing it
(`commands.sync`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from assay.core.schemas import DAMAGE
from assay.history import past_verdicts
from assay.history.attempt_and_family_entries import AttemptEntry, FamilyEntry, OpeningEntry, OutcomeEntry
from assay.runtime import append_only_ref, files
from assay.runtime.append_only_ref import LOOKS, Grown
from assay.stats import alpha_budget
from assay.stats.alpha_budget import LookEntry, Price

Entry = LookEntry | AttemptEntry | OutcomeEntry | OpeningEntry | FamilyEntry
E = TypeVar("E", LookEntry, AttemptEntry, OutcomeEntry, OpeningEntry, FamilyEntry)


@dataclass(frozen=True)
class Ledger:
    """Entries by the path of their file. `damaged`: path → what is wrong with it; such an entry counts as nothing."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)

    def all(self, kind: type[E]) -> list[E]:
        return [entry for entry in self.entries.values() if isinstance(entry, kind)]

    @property
    def looks(self) -> list[LookEntry]:
        return self.all(LookEntry)


def read(home: Path) -> Ledger:
    """All that was looked at; before the first entry, what Git shows of verdicts that were given."""
    (found,) = append_only_ref.read(home, LOOKS)
    return _parsed({**_before(home, found), **found.files})


def kept(home: Path) -> Ledger:
    """What is recorded, and nothing else."""
    return _parsed(append_only_ref.read(home, LOOKS)[0].files)


def add(home: Path, make: Callable[[Ledger], Sequence[Entry]]) -> Ledger:
    """The ledger with what `make` adds to it. Raises UsageError where it cannot be written.

    `make` is asked again where somebody else added something meanwhile.
    """

    def more(now: Grown) -> Mapping[str, bytes]:
        before = _before(home, now)
        ledger = _parsed({**before, **now.files})
        return {**before, **{file_of(entry): content_of(entry) for entry in make(ledger)}}

    return _parsed(append_only_ref.grow(home, LOOKS, more))


def look(home: Path, asked: LookEntry) -> tuple[LookEntry, Price, Ledger]:
    """Take the look `asked`: its entry, what it costs, and the ledger that holds it from now on."""
    found: list[tuple[LookEntry, Price]] = []

    def make(ledger: Ledger) -> Sequence[Entry]:
        found.append(alpha_budget.take(ledger.looks, asked))
        entry, price = found[-1]
        return [] if price.known else [entry]

    ledger = add(home, make)
    return *found[-1], ledger


def _same(one: LookEntry, other: LookEntry) -> bool:
    return one.baseline == other.baseline and not alpha_budget.names(one).isdisjoint(alpha_budget.names(other))


def others(ledger: Ledger, entry: LookEntry) -> int:
    """How many other strategies were looked at against the same baseline."""
    against = [one for one in ledger.looks if one.baseline == entry.baseline and not _same(one, entry)]
    return len({one.identity for one in against})


def file_of(entry: Entry) -> str:
    """Path of an entry's file: its content's hash, so that two clones give the same entry the same name."""
    digest = files.digest(content_of(entry))
    return f"{digest[:2]}/{digest[2:]}.json"


def content_of(entry: Entry) -> bytes:
    return msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n"


def _before(home: Path, found: Grown) -> dict[str, bytes]:
    """The verdicts that Git shows, where there is no ledger yet."""
    if found.tip:
        return {}
    return {file_of(entry): content_of(entry) for entry in _taken_in(past_verdicts.looks(home))}


def _taken_in(asked: Sequence[LookEntry]) -> list[LookEntry]:
    """Looks that nobody charged, charged in the order in which seeds are added."""
    entries: list[LookEntry] = []
    for one in sorted(asked, key=lambda one: (one.key.n, file_of(one))):
        entry, price = alpha_budget.take(entries, one)
        entries += [] if price.known else [entry]
    return entries


def _parsed(content: Mapping[str, bytes]) -> Ledger:
    found = {path: _entry(path, text) for path, text in content.items()}
    damaged = {path: entry for path, entry in found.items() if isinstance(entry, str)}
    return Ledger({path: entry for path, entry in found.items() if not isinstance(entry, str)}, damaged)


_decoder = partial(msgspec.json.decode, type=Entry)


def _entry(path: str, content: bytes) -> Entry | str:
    """The entry in a file, or what is wrong with it."""
    digest = files.digest(content)
    if path != f"{digest[:2]}/{digest[2:]}.json":
        return "its content was edited"
    try:
        entry: Entry = _decoder(content)
    except DAMAGE as error:
        return f"this version does not know it: {error}"
    return entry if entry.schema == 1 else f"it has schema {entry.schema}, this version knows 1"
