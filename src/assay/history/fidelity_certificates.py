"""Certificates of fast profiles: `refs/assay/fidelity`, one file each, shared by `assay sync`.

Covers: keeping one, finding the one that holds for a fast group under exactly its conditions. A certificate under any
other metric version, overlay, data, baseline or environment is none. Not covered: making one (`commands.fidelity`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.core.schemas import DAMAGE, Record
from assay.history.profile_groups import FULL, ProfileGroup, ProfileTerms
from assay.runtime import append_only_ref, files

FIDELITY = "refs/assay/fidelity"


class FidelityCertificate(Record, frozen=True, kw_only=True):
    """What `stats.profile_fidelity` found, and under which conditions. A share or correlation is None where unknown."""

    terms: ProfileTerms
    fast: str  # name of the cheap profile
    against: tuple[str, ...]  # identities of the baseline under it; none for a floor
    number: int  # counts up with each certificate of the same conditions
    settings: int
    pairs: int
    separated: int
    alike: float
    share: float | None
    share_ci: tuple[float, float]
    correlation: float | None
    correlation_ci: tuple[float, float]
    dropped: float | None
    dropped_ci: tuple[float, float]
    speed_up: float | None  # mean seconds of full over those of fast; None where DVC's cache here does not say
    word: str


def relevant(terms: ProfileTerms, fast: str) -> ProfileTerms:
    """The conditions without overlays of other profiles, which say nothing of these two."""
    kept = {name: digest for name, digest in terms.profiles.items() if name in (FULL, fast)}
    return msgspec.structs.replace(terms, profiles=kept)


def key(terms: ProfileTerms) -> str:
    """One text, the same for the same conditions."""
    return msgspec.json.encode(terms, order="sorted").decode()


def keep(home: Path, certificate: FidelityCertificate) -> FidelityCertificate:
    """Keep it, unless it is the last one of its conditions already. Raises UsageError where Git cannot write."""
    made: list[FidelityCertificate] = []

    def more(now: append_only_ref.Grown) -> dict[str, bytes]:
        known = [one for one in _read(now) if one.terms == certificate.terms and one.fast == certificate.fast]
        last = max(known, key=lambda one: one.number, default=None)
        number = last.number if last else 0
        if last == msgspec.structs.replace(certificate, number=number):
            made.append(last)
            return {}
        made.append(msgspec.structs.replace(certificate, number=number + 1))
        content = msgspec.json.format(msgspec.json.encode(made[-1]), indent=1) + b"\n"
        digest = files.digest(content)
        return {f"{digest[:2]}/{digest[2:]}.json": content}

    append_only_ref.grow(home, FIDELITY, more)
    return made[-1]


def holding(home: Path, group: ProfileGroup) -> FidelityCertificate | None:
    """The newest certificate that holds for the fast `group`; None where there is none."""
    (found,) = append_only_ref.read(home, FIDELITY)
    terms = relevant(group.terms, group.profile)
    known = [
        one
        for one in _read(found)
        if one.fast == group.profile and one.terms == terms and (not group.against or group.against in one.against)
    ]
    return max(known, key=lambda one: one.number, default=None)


def _read(found: append_only_ref.Grown) -> list[FidelityCertificate]:
    """All that are whole: a damaged one certifies nothing, and can be made again."""
    known = []
    for path, content in found.files.items():
        digest = files.digest(content)
        try:
            one = msgspec.json.decode(content, type=FidelityCertificate)
        except DAMAGE:
            continue
        if path == f"{digest[:2]}/{digest[2:]}.json" and one.schema == 1:
            known.append(one)
    return known


def told(home: Path, group: ProfileGroup | None, profile: str) -> str:
    """What a verdict about `group` under `profile` has to say beside it; "" under full."""
    if profile in ("", FULL):
        return ""
    return line(holding(home, group) if group else None, profile)


def line(certificate: FidelityCertificate | None, profile: str) -> str:
    """What a verdict under a fast `profile` says of how far it tells about the full one."""
    if certificate is None:
        return f"fidelity of {profile} to {FULL}: unmeasured; next: assay fidelity"
    told = f"{certificate.settings} settings"
    if certificate.share is None or certificate.word != "measured":
        return f"fidelity of {profile} to {FULL}: {certificate.word} ({told}); next: assay fidelity"
    low, high = certificate.share_ci
    return (
        f"fidelity of {profile} to {FULL}: orders {certificate.share:.0%} [{low:.0%}, {high:.0%}] of the pairs alike "
        f"that {FULL} separates ({told})"
    )
