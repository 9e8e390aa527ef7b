"""Sealed replicates in a folder that several machines see: putting them there, taking them from there.

An entry's address says what made it, so that putting it there twice changes nothing. Two entries of one address whose
bytes differ are a finding: both are set aside, and neither is anybody's result. Covers: copying, comparing, hosts. Not
covered: what an entry means (`replicates.replicate_cache`), who may train it (`runtime.leases`).
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay.core import schemas
from assay.core.errors import IncomparableError
from assay.core.schemas import DAMAGE
from assay.core.work_records import MadeBy, SharedPaths
from assay.replicates import cache_entries
from assay.runtime import files, shared_files

#: file of an entry that is there when all of it is
WEIGHTS = "weights"
#: beginning of the names of files that say who made an entry
MADE = "made-"
#: file of an entry that has no replicate in it, but what was noted of a group
MEMO = "memo"


@dataclass(frozen=True)
class UnequalEntries:
    """Two entries of one address with other bytes, and the hosts that made them."""

    name: str
    hosts: tuple[str, ...]


def has(shared: Path, name: str, evaluated: str) -> bool:
    """Whether the replicate is there, sealed, with predictions of the part `evaluated`."""
    return is_whole(SharedPaths(shared).entry(name), evaluated)


def is_whole(entry: Path, evaluated: str) -> bool:
    """The same for the folder of an entry in any cache."""
    return (entry / WEIGHTS).is_file() and (entry / evaluated).is_file()


def unbroken(path: Path) -> bytes | None:
    """The bytes of a sealed file, seal included; None where it is not there, or its seal is broken."""
    raw = shared_files.read(path)
    return raw if raw is not None and cache_entries.content(raw) is not None else None


def fetch(shared: Path, name: str, folder: Path) -> None:
    """Copy what is there of the entry `name` into the cache's `folder` of that name.

    Files whose seal is broken are left alone: another machine may be about to write them. Raises OSError where the
    cache cannot be written.
    """
    for path in _sealed(SharedPaths(shared).entry(name)):
        raw = unbroken(path)
        if raw is not None and not (folder / path.name).exists():
            files.write_bytes(folder / path.name, raw)


def publish(folder: Path, shared: Path, made: MadeBy) -> UnequalEntries | None:
    """Put the entry in `folder` where all machines see it. None, or the finding that it is not what another made.

    The file that makes an entry complete comes last. Raises OSError where the shared folder cannot be written.
    """
    place = SharedPaths(shared).entry(folder.name)
    ours = {path.name: raw for path in _sealed(folder) if (raw := unbroken(path)) is not None}
    if SharedPaths(shared).unequal(folder.name).is_dir():
        return UnequalEntries(folder.name, tuple(shared_files.names(SharedPaths(shared).unequal(folder.name))))
    if WEIGHTS in ours:
        made = msgspec.structs.replace(made, weights=payload_digest(ours[WEIGHTS]), predictions=_predictions(ours))
        if (finding := _compared(ours, place, made, shared)) is not None:
            return finding
    for name in sorted(ours, key=lambda one: one == WEIGHTS):
        if name == MEMO or unbroken(place / name) is None:
            shared_files.write(place / name, ours[name])
    if WEIGHTS in ours:
        shared_files.write(place / f"{MADE}{made.host}-{made.request[:8]}.json", schemas.encode(made))
    return None


def made_here(seconds: float, request: str = "") -> MadeBy:
    """The record of what this process made; digests are added when it is published."""
    python = platform.python_version()
    return MadeBy(
        host=shared_files.host(), request=request, seconds=round(seconds, 3), python=python, weights="", predictions=""
    )


def refused(finding: UnequalEntries, shared: Path) -> IncomparableError:
    """The sentence about two entries that should be one."""
    aside = SharedPaths(shared).unequal(finding.name)
    return IncomparableError(
        f"{' and '.join(finding.hosts)} made other bytes of the same replicate; both are set aside in {aside}",
        allowed="machines that make the same bytes of the same request",
        hint=f"ask one kind of machine alone, then rm -r '{aside}' and submit it again",
    )


def made_by(folder: Path) -> list[MadeBy]:
    """Who made the entry in `folder`; records that are damaged are left out."""
    found = []
    for name in shared_files.names(folder):
        if name.startswith(MADE):
            try:
                found.append(msgspec.json.decode(shared_files.read(folder / name) or b"", type=MadeBy))
            except DAMAGE:
                continue
    return found


def unequal(shared: Path) -> list[UnequalEntries]:
    """Entries that were set aside."""
    above = SharedPaths(shared).root / "unequal"
    return [UnequalEntries(name, tuple(shared_files.names(above / name))) for name in shared_files.names(above)]


def payload_digest(raw: bytes) -> str:
    """Digest of what a sealed file holds behind its head: seconds, steps and the way of training are in the head."""
    content = cache_entries.content(raw) or b""
    return files.digest(content[8 + int.from_bytes(content[:8], "little") :])


def _predictions(entry: dict[str, bytes]) -> str:
    parts = (f"{name} {payload_digest(raw)}\n" for name, raw in sorted(entry.items()) if _is_predictions(name))
    return files.digest("".join(parts).encode())


def _is_predictions(name: str) -> bool:
    """Whether a file of an entry is named by the content of an evaluated part."""
    return len(name) >= 32 and all(sign in "0123456789abcdef" for sign in name)


def _compared(ours: dict[str, bytes], place: Path, made: MadeBy, shared: Path) -> UnequalEntries | None:
    """The finding that another machine made other bytes of the same; both are out of everybody's way then."""
    names = [name for name in ours if name == WEIGHTS or _is_predictions(name)]
    theirs = {name: raw for name in names if (raw := unbroken(place / name)) is not None}
    if all(payload_digest(ours[name]) == payload_digest(raw) for name, raw in theirs.items()):
        return None
    hosts = [one.host for one in made_by(place)] or ["unknown"]
    aside = SharedPaths(shared).unequal(place.name)
    for host, entry in ((hosts[0], theirs), (_other(made.host, hosts[0]), ours)):
        for name, raw in entry.items():
            shared_files.write(aside / host / name, raw)
    for name in shared_files.names(place):
        cache_entries.discard(place / name)
    cache_entries.discard_folder(place)
    return UnequalEntries(place.name, (hosts[0], _other(made.host, hosts[0])))


def _other(host: str, taken: str) -> str:
    return f"{host}-again" if host == taken else host


def _sealed(folder: Path) -> Iterator[Path]:
    """Files of an entry that have a seal."""
    return (folder / name for name in shared_files.names(folder) if not name.startswith(MADE))


def missing(shared: Path, entries: Iterable[str], evaluated: str) -> list[str]:
    """Those of `entries` that are not there."""
    return [name for name in entries if not has(shared, name, evaluated)]
