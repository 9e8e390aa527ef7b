"""What a search has asked for and measured: `refs/assay/search/NAME`, one file a generation and one a finished setting.

Covers: reading all of it with one process, adding what is finished by compare-and-swap, what is damaged. Files are only
ever added, so a search that was killed is what its records say. Not covered: what comes next (`search.progress`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from assay.core.schemas import DAMAGE
from assay.runtime import append_only_ref
from assay.runtime.git_objects import refs

FOLDER = "refs/assay/search"
TERMS, USE, KNOWN = "search.json", "use.json", "known.json"
Writable = TypeVar("Writable", bound=msgspec.Struct)


class SearchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What all settings of a search have in common. The first fields follow from params.yaml, the others from a run."""

    schema: int = 1
    space: str  # canonical
    replicates: int
    seed: int
    sampler: str
    strategy: str  # hash of HEAD's parameters without those of the space
    code: str
    data: str
    environment: str
    metric: str
    metric_version: str
    direction: str
    worst: float | None


class AskedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a generation; numbers run through the whole search. `point`: of the Sobol sequence, if of it."""

    number: int
    values: dict[str, Any]
    point: int | None = None


class AskedGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that were asked for at once, before any of them was trained."""

    schema: int = 1
    number: int
    sampler: str
    settings: list[AskedSetting]


class FinishedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of a setting, None for a replicate that diverged; round 1 holds the additional ones of a contender."""

    schema: int = 1
    number: int
    round: int
    scores: list[float | None]
    seconds: float  # of all replicates
    failed: str = ""  # why it does not run


class KnownSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that was measured before the search, by an experiment or another search. `value`: the mean over its
    `n` replicates, None where one diverged and no worst value is named."""

    values: dict[str, Any]
    value: float | None
    n: int
    metric_version: str
    environment: str
    source: str  # name of the experiment, or of the other search


class KnownSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Those under the search's own metric and environment, as they were when it began."""

    schema: int = 1
    settings: list[KnownSetting]


class DeviceUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the first setting's training took. Shares in 0 to 1, None where nobody can tell."""

    schema: int = 1
    seconds: float  # of one replicate
    device: str
    busy: float | None
    loading: float | None  # of the training's time, for making batches


@dataclass(frozen=True)
class RecordedSearch:
    """All records of one search. `damaged`: path → what is wrong with it; such a record counts as none."""

    terms: SearchTerms | None = None
    generations: list[AskedGeneration] = field(default_factory=list)
    finished: Mapping[tuple[int, int], FinishedSetting] = field(default_factory=dict)  # (number, round) → scores
    use: DeviceUse | None = None
    known: list[KnownSetting] = field(default_factory=list)  # told to the sampler, never trained
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def broken(self) -> str:
        """The first record without which the path of the search is not known; "" where there is none damaged."""
        return next((path for path in self.damaged if path.startswith("generations/") or path in (TERMS, KNOWN)), "")

    def settings(self) -> list[tuple[AskedSetting, int]]:
        """Every setting in canonical order, with the number of its generation."""
        return [(setting, one.number) for one in self.generations for setting in one.settings]


def ref(name: str) -> str:
    return f"{FOLDER}/{name}"


def read(home: Path, name: str) -> RecordedSearch:
    """The search as its ref has it; an empty one where there is none."""
    return parsed(append_only_ref.read(home, ref(name))[0].files)


def parsed(files: Mapping[str, bytes]) -> RecordedSearch:
    """Records of the files of a ref."""
    damaged: dict[str, str] = {}

    def one(path: str, kind: type[Writable]) -> Writable | None:
        try:
            return msgspec.json.decode(files[path], type=kind)
        except DAMAGE as error:
            damaged[path] = f"this version does not know it: {error}"
            return None

    def all_of(folder: str, kind: type[Writable]) -> list[Writable]:
        found = [one(path, kind) for path in sorted(files) if path.startswith(f"{folder}/")]
        return [record for record in found if record is not None]

    generations = sorted(all_of("generations", AskedGeneration), key=lambda each: each.number)
    finished = {(each.number, each.round): each for each in all_of("settings", FinishedSetting)}
    terms = one(TERMS, SearchTerms) if TERMS in files else None
    use = one(USE, DeviceUse) if USE in files else None
    known = one(KNOWN, KnownSettings) if KNOWN in files else None
    return RecordedSearch(terms, generations, finished, use, known.settings if known else [], damaged)


def apart(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> str:
    """Why the files of two refs are not records of one search, in words; "" where they are, as far as either went.

    Scores may differ: the same setting was trained in both. Damaged files count as none.
    """
    one, other = parsed(ours), parsed(theirs)
    if one.terms is not None and other.terms is not None:
        names = [
            name for name in SearchTerms.__struct_fields__ if getattr(one.terms, name) != getattr(other.terms, name)
        ]
        if names:
            return f"their {names[0].replace('_', ' ')} differs"
        if one.known != other.known:
            return "what was measured before them differs"
    asked = {record.number: record for record in one.generations}
    strange = [record.number for record in other.generations if asked.get(record.number, record) != record]
    return f"generation {strange[0]} differs" if strange else ""


def names(home: Path) -> list[str]:
    """Names of all searches, in order."""
    return sorted(one.name.removeprefix(f"{FOLDER}/") for one in refs(home, FOLDER))


def begin(home: Path, name: str, terms: SearchTerms, known: list[KnownSetting]) -> None:
    """Record what all settings have in common and what is known beforehand, both at once or neither."""
    alike = [one for one in known if (one.metric_version, one.environment) == (terms.metric_version, terms.environment)]
    _add(home, name, {TERMS: terms, KNOWN: KnownSettings(settings=alike)})


def add_use(home: Path, name: str, use: DeviceUse) -> None:
    _add(home, name, {USE: use})


def add_generation(home: Path, name: str, asked: AskedGeneration) -> None:
    _add(home, name, {f"generations/{asked.number:05}.json": asked})


def add_finished(home: Path, name: str, finished: FinishedSetting) -> None:
    _add(home, name, {f"settings/{finished.number:05}-{finished.round}.json": finished})


def _add(home: Path, name: str, records: Mapping[str, msgspec.Struct]) -> None:
    """Some files more. What is recorded already stays, as the first to finish measured it; a damaged one does not."""

    def more(now: append_only_ref.Grown) -> Mapping[str, bytes]:
        return {
            path: msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
            for path, record in records.items()
            if not _readable(now.files.get(path), type(record))
        }

    append_only_ref.grow(home, ref(name), more)


def _readable(content: bytes | None, kind: type[msgspec.Struct]) -> bool:
    if content is None:
        return False
    try:
        msgspec.json.decode(content, type=kind)
    except DAMAGE:
        return False
    return True
