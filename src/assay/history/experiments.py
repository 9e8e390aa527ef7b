"""What Git holds: tags with their evidence, experiments with their numbers.

Covers: telling our tags and DVC's experiments from other refs, parsing them, saying what is wrong with
the ones that do not parse. Not covered: what follows from them (`history.strategy_status`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from assay.baseline import baseline_param
from assay.core.paths import METRICS, PARAMS
from assay.core.schemas import DAMAGE
from assay.runtime import git
from assay.runtime.git_objects import Object, Objects, Ref, reading, refs
from assay.tags.strategy_events import NO_EVIDENCE, Event, UnverifiableError, kind_of
from assay.tags.trailers import parse_event

#: DVC also keeps stashes, its running experiment and its queue under refs/exps
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38,62})/([^/]+)")
#: what DVC calls an experiment that nobody gave a message
_BY_DVC = re.compile(r"dvc: commit experiment \S+$")
_SIGNED = re.compile(r"(?:author|committer|tagger) (.*?) ?<[^>]*> (-?[0-9]+) ([+-][0-9]{4})")


@dataclass(frozen=True)
class Stamp:
    """Who wrote it and when, for people to read: nothing is ordered by it."""

    author: str = ""
    date: str = ""  # YYYY-MM-DD in the writer's time zone


@dataclass(frozen=True)
class Tag:
    """A tag of ours; `event` is None when it is not verifiable, and `problem` says why."""

    name: str  # strategy/adam
    object: str
    commit: str
    stamp: Stamp
    event: Event | None
    problem: str = ""


@dataclass(frozen=True)
class Experiment:
    """An experiment of DVC's; `metrics` is empty when it has no readable numbers."""

    name: str
    commit: str
    base: str  # the commit that it was run on
    stamp: Stamp
    metrics: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    baseline: str = ""  # what its params.yaml names
    numbers: str = ""  # Git's hash of results/metrics.json
    why: str = ""  # first paragraph of `dvc exp run -m`, on one line; "" where none was given


@dataclass(frozen=True)
class Repository:
    """Everything of ours in one repository."""

    tags: list[Tag]
    experiments: list[Experiment]
    refs: dict[str, Ref]  # every ref that was looked at, by full name


def read(root: Path, *, experiments: bool = True, stamps: bool = True) -> Repository:
    """All tags of ours and, if asked for, all experiments: three processes however many there are.

    Without `stamps` experiments have neither author, date nor baseline, and a third of the objects is read.
    """
    found = refs(root)
    wanted = [ref for ref in found if experiments and _EXPERIMENT.fullmatch(ref.name)]
    with reading(root) as objects:
        tags = _tags([ref for ref in found if _is_ours(ref)], objects)
        tried = _experiments(wanted, objects, git.prefix(root), stamps) if wanted else []
    return Repository(tags, tried, {ref.name: ref for ref in found})


def _is_ours(ref: Ref) -> bool:
    return ref.name.startswith("refs/tags/") and kind_of(ref.name.removeprefix("refs/tags/")) is not None


def _tags(found: Sequence[Ref], objects: Objects) -> list[Tag]:
    return [_tag(ref, item) for ref, item in zip(found, objects.read([ref.object for ref in found]), strict=True)]


def _tag(ref: Ref, item: Object | None) -> Tag:
    name = ref.name.removeprefix("refs/tags/")
    if item is None or item.kind != "tag":
        return Tag(name, ref.object, ref.peeled, Stamp(), None, NO_EVIDENCE)
    header, _, message = item.content.decode("utf-8", "surrogateescape").partition("\n\n")
    try:
        event, problem = parse_event(name, ref.peeled, message), ""
    except UnverifiableError as error:
        event, problem = None, error.why
    return Tag(name, ref.object, ref.peeled, _stamp(header), event, problem)


def _experiments(found: Sequence[Ref], objects: Objects, prefix: str, stamps: bool) -> list[Experiment]:
    nothing: list[Object | None] = [None] * len(found)
    commits = objects.read([ref.object for ref in found]) if stamps else nothing
    params = objects.read([f"{ref.object}:{prefix}{PARAMS}" for ref in found]) if stamps else nothing
    numbers = objects.read([f"{ref.object}:{prefix}{METRICS}" for ref in found])
    return [_experiment(*each) for each in zip(found, commits, params, numbers, strict=True)]


def _experiment(ref: Ref, commit: Object | None, params: Object | None, numbers: Object | None) -> Experiment:
    match = _EXPERIMENT.fullmatch(ref.name)
    assert match is not None
    header, _, message = (b"" if commit is None else commit.content).partition(b"\n\n")
    metrics, problem = parse_metrics(None if numbers is None else numbers.content)
    return Experiment(
        name=match[3],
        commit=ref.object,
        base=match[1] + match[2],
        stamp=_stamp(header.decode("utf-8", "surrogateescape")),
        metrics=metrics,
        problem=problem,
        baseline="" if params is None else baseline_param.glance(params.content),
        numbers="" if numbers is None else numbers.name,
        why=reason(message.decode("utf-8", "replace")),
    )


def reason_of(root: Path, commit: str) -> str:
    """Why the experiment at `commit` was run."""
    with reading(root) as objects:
        (found,) = objects.read([commit])
    return "" if found is None else reason(found.content.partition(b"\n\n")[2].decode("utf-8", "replace"))


def reason(message: str) -> str:
    """Why an experiment was run, from its commit's message; "" for the message that DVC writes by itself."""
    text = " ".join(message.strip().partition("\n\n")[0].split())
    return "" if _BY_DVC.match(text) else text


def parse_metrics(content: bytes | None) -> tuple[dict[str, Any], str]:
    """The flat numbers of `results/metrics.json`, and what is wrong with them."""
    if content is None:
        return {}, f"it has no {METRICS}"
    try:
        metrics = msgspec.json.decode(content)
    except DAMAGE as error:
        return {}, f"its {METRICS} is damaged ({error})"
    return (metrics, "") if isinstance(metrics, dict) else ({}, f"its {METRICS} is no mapping")


def _stamp(header: str) -> Stamp:
    """Author or tagger, and the day, of a raw commit's or tag's header."""
    for line in header.split("\n"):
        match = _SIGNED.fullmatch(line)
        if match:
            return Stamp(match[1].encode("utf-8", "replace").decode(), _day(match[2], match[3]))
    return Stamp()


def _day(seconds: str, zone: str) -> str:
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    try:
        zone_of = timezone(-offset if zone[0] == "-" else offset)
        return datetime.fromtimestamp(int(seconds), zone_of).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""  # a date that nobody can have meant
