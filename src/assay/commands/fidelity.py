"""`assay fidelity`: how far the fast profile orders strategies as the full one does, from what is kept in both.

Nothing trains unless `measure` asks for it, and then the price comes first. Not covered: the statistics
(`stats.profile_fidelity`), measuring (`commands.fidelity_measure`), who reads it (`history.fidelity_certificates`).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.commands import fidelity_measure
from assay.core import params_yaml
from assay.core.errors import AssayError, UsageError
from assay.core.paths import ProjectPaths
from assay.history import cached_predictions, fidelity_certificates, profile_groups
from assay.history.experiments import read
from assay.history.fidelity_certificates import FidelityCertificate
from assay.history.profile_groups import FULL, ProfileGroup, ProfileTerms
from assay.runtime import dvc_cache_dir, dvc_yaml, project_root
from assay.stats import profile_fidelity
from assay.stats.profile_fidelity import ProfilePair

Say = Callable[[str], None]
Pairs = Mapping[str, tuple[ProfileGroup, ProfileGroup]]


@dataclass(frozen=True)
class MeasuredFidelity:
    """`certificate` is None where fewer than two settings are kept in both profiles.

    `settings`: name under full → under fast; `alone`: groups that are kept in one profile only; `left`: group → why it
    does not count.
    """

    full: str
    fast: str
    against: str  # what params.yaml calls the baseline
    certificate: FidelityCertificate | None
    settings: Mapping[str, str] = field(default_factory=dict)
    alone: Sequence[str] = ()
    left: Mapping[str, str] = field(default_factory=dict)


def fidelity(
    start: Path, fast: str | None, say: Say, measure: int = 0, dry_run: bool = False
) -> MeasuredFidelity | None:
    """Certify the profile `fast` (default: the only one beside full) from groups that are kept in both profiles.

    `measure`: so many settings that are kept in one profile are measured in the other first; with `dry_run` their price
    is said and nothing else is done. Raises UsageError for a profile that is none, and for nothing to measure.
    """
    layout = project_root.find(start)
    name = _fast(layout, fast)
    found = _found(layout, name)
    if measure or dry_run:
        missing = fidelity_measure.missing(layout, found.both, found.single, name, measure)
        say(fidelity_measure.price(layout, missing, found.single))
        if dry_run:
            return None
        fidelity_measure.measure(layout, missing, say)
        found = _found(layout, name)
    certificate = _certified(layout, found, name) if len(found.both) > 1 else None
    settings = {full.name: cheap.name for full, cheap in found.both.values()}
    alone = [f"{one.name} ({one.profile})" for one in found.single]
    against = params_yaml.load(dvc_yaml.parameters(layout.root)).baseline
    return MeasuredFidelity(FULL, name, against, certificate, settings, alone, found.left)


@dataclass(frozen=True)
class _FoundGroups:
    both: Pairs
    single: list[ProfileGroup]
    left: dict[str, str]


def _fast(layout: ProjectPaths, asked: str | None) -> str:
    profiles = params_yaml.load(dvc_yaml.parameters(layout.root)).profiles
    cheap = [name for name in profiles if name != FULL]
    if FULL not in profiles or not cheap:
        raise UsageError(
            f"params.yaml has the profiles {', '.join(profiles)}",
            allowed=f"{FULL} and a cheaper one",
            hint="add one under profiles: in params.yaml, e.g. fast: {train: {epochs: 5}}",
        )
    if asked is None and len(cheap) > 1:
        raise UsageError(f"{len(cheap)} profiles stand beside {FULL}", allowed=f"--profile {' or '.join(cheap)}")
    if asked is not None and asked not in cheap:
        raise UsageError(f"--profile {asked} is none to certify", allowed=", ".join(cheap))
    return asked or cheap[0]


def _found(layout: ProjectPaths, fast: str) -> _FoundGroups:
    """Groups of both profiles under today's conditions, paired by setting."""
    groups = [one for one in profile_groups.find(layout.root, read(layout.root)) if one.profile in (FULL, fast)]
    left, usable = dict[str, str](), []
    for one in groups:
        numbers = one.numbers
        if numbers is None:
            left[one.name] = "a replicate diverged, and the metric names no worst value"
        elif len(numbers) < 2:
            left[one.name] = "it has fewer than two replicates"
        else:
            usable.append(one)
    terms = _today(layout, usable, fast)
    for one in usable:
        if fidelity_certificates.relevant(one.terms, fast) != terms:
            left[one.name] = _why(fidelity_certificates.relevant(one.terms, fast), terms)
    held = _one_baseline([one for one in usable if one.name not in left], left)
    by = {profile: _largest(one for one in held if one.profile == profile) for profile in (FULL, fast)}
    both = {key: (by[FULL][key], by[fast][key]) for key in by[FULL] if key in by[fast]}
    single = [one for groups in by.values() for key, one in groups.items() if key not in both]
    return _FoundGroups(both, single, left)


def _today(layout: ProjectPaths, groups: Sequence[ProfileGroup], fast: str) -> ProfileTerms | None:
    """The conditions of today: what the work tree's parameters say, then its results, then most of the groups."""
    written = params_yaml.load(dvc_yaml.parameters(layout.root))
    here = profile_groups.of_work_tree(layout, dvc_yaml.main(layout.root))
    overlays = profile_groups.overlays(written)
    mine = {name: overlays[name] for name in (FULL, fast)}
    baseline = profile_groups.baseline_commit(dvc_yaml.main(layout.root), written)
    counted = Counter[str]()
    known: dict[str, ProfileTerms] = {}
    for one in groups:
        terms = fidelity_certificates.relevant(one.terms, fast)
        if terms.profiles == mine and terms.baseline == baseline:
            key = fidelity_certificates.key(terms)
            known[key] = terms
            counted[key] += 1
    if here is not None:
        key = fidelity_certificates.key(fidelity_certificates.relevant(here.terms, fast))
        if key in known:
            return known[key]
    return known[counted.most_common(1)[0][0]] if counted else None


def _why(one: ProfileTerms, today: ProfileTerms | None) -> str:
    if today is None:
        return "its profiles or its baseline are others than those of params.yaml"
    names = {"metric_version": "metric version", "profiles": "overlay of a profile"}
    differing = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(today, name)]
    return f"another {' and '.join(names.get(name, name) for name in differing)}"


def _one_baseline(groups: Sequence[ProfileGroup], left: dict[str, str]) -> list[ProfileGroup]:
    """Those whose measured baseline is the one of most in their profile: a tag that moved names two."""
    kept = []
    for profile in {one.profile for one in groups}:
        mine = [one for one in groups if one.profile == profile]
        usual = Counter(one.against for one in mine).most_common(1)[0][0]
        for one in mine:
            if one.against == usual:
                kept.append(one)
            else:
                left[one.name] = "its baseline's tag names another strategy today"
    return kept


def _largest(groups: Iterable[ProfileGroup]) -> dict[str, ProfileGroup]:
    """Setting → its group with the most replicates."""
    found: dict[str, ProfileGroup] = {}
    for one in groups:
        if one.setting not in found or len(one.values) > len(found[one.setting].values):
            found[one.setting] = one
    return found


def _certified(layout: ProjectPaths, found: _FoundGroups, fast: str) -> FidelityCertificate:
    pairs = list(found.both.values())
    one = pairs[0][0]
    known = profile_fidelity.fidelity([ProfilePair(full.numbers or [], cheap.numbers or []) for full, cheap in pairs])
    certificate = FidelityCertificate(
        terms=fidelity_certificates.relevant(one.terms, fast),
        fast=fast,
        against=tuple(sorted({cheap.against for _, cheap in pairs} - {""})),
        number=0,
        settings=known.settings,
        pairs=known.pairs,
        separated=known.separated,
        alike=known.alike,
        share=known.share,
        share_ci=known.share_ci,
        correlation=known.correlation,
        correlation_ci=known.correlation_ci,
        dropped=known.dropped,
        dropped_ci=known.dropped_ci,
        speed_up=_speed_up(layout, pairs),
        word=known.word,
    )
    return fidelity_certificates.keep(dvc_yaml.main(layout.root), certificate)


def _speed_up(layout: ProjectPaths, pairs: Sequence[tuple[ProfileGroup, ProfileGroup]]) -> float | None:
    """Over settings whose seconds are known in both profiles."""
    seconds = [(_seconds(layout, full), _seconds(layout, cheap)) for full, cheap in pairs]
    known = [(full, cheap) for full, cheap in seconds if full and cheap]
    if not known:
        return None
    return sum(full for full, _ in known) / sum(cheap for _, cheap in known)


def _seconds(layout: ProjectPaths, one: ProfileGroup) -> float | None:
    """Mean seconds of a training; None where DVC's cache here does not say."""
    try:
        arm = cached_predictions.record(dvc_cache_dir.folder(dvc_yaml.main(layout.root)), one.lock, "candidate")
    except AssayError:
        return None
    measured = arm.measurement.replicates if arm and arm.measurement else []
    finished = [each.seconds for each in measured if not each.diverged]
    return statistics.fmean(finished) if finished else None
