"""Evidence: what a tag says about a strategy, and what such tags are called.

Covers: names, and the events accepted, attempted, rejected, revoked, rescored. Not covered: how an event
is written (`tags.trailers`), reading and writing tags (`history`), whether the numbers are good (`stats`).
"""

from __future__ import annotations

import re
from shlex import quote

import msgspec

from assay.core.errors import IncomparableError, UsageError
from assay.core.schemas import Record

SCHEMA = 1
#: number of the promise that a tag makes: its tree runs as it was accepted, by its own task code, parameters and
#: training data, under any later library. A library that cannot keep it raises the number and refuses older tags
CONTRACT = 1
#: what is wrong with a tag that somebody else wrote; it lies about nothing
NO_EVIDENCE = "it carries no evidence of Assay"
LONGEST_NAME = 80
NAMES = (
    f"1–{LONGEST_NAME} of the characters A–Z a–z 0–9 . _ -, "
    "the first a letter or digit, no '..', no final '.' or '.lock'"
)
#: names that would be read as something else, in any spelling
_HEADS = (
    "head",
    "orig_head",
    "fetch_head",
    "merge_head",
    "cherry_pick_head",
    "revert_head",
    "bisect_head",
    "rebase_head",
)
_MEANINGS = {
    "floor": "the floor, as a baseline",
    **dict.fromkeys(_HEADS, "a revision, to Git"),
    "stash": "a stash, to Git",
}
_NUMBERED = [f"{port}{number}" for port in ("com", "lpt") for number in range(10)]
_DEVICES = frozenset({"con", "prn", "aux", "nul", *_NUMBERED})
_HASH = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of one group under one metric version; None where it has no finite one."""

    n: int
    mean: float | None = None
    sd: float | None = None
    diverged: int = 0


class RecordedComparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Candidate against baseline, in the metric's unit; `delta` is candidate − baseline."""

    verdict: str
    candidate: Score
    baseline: Score | None = None
    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    alpha: float | None = None  # level of the test, where it is not the one of params.yaml
    correlation: float | None = None  # of the pairs, in a paired design; readers of before call such a tag unverifiable
    overlap: float | None = None  # of splits drawn anew: validation over training examples; readers of before, as above


class Seeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which replicates were measured: `n` numbers from each first one, under (root, purpose)."""

    root: int
    purpose: str
    n: int
    candidate: int
    baseline: int  # numbers of the other arm; the same ones in a paired design only


class Event(Record, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events. `sequence` counts the events that its writer knew: order never comes from a clock."""

    name: str
    sequence: int
    commit: str  # what the tag points at


class Accepted(Event, frozen=True, kw_only=True, tag="accepted"):
    """`strategy/NAME`."""

    metric: str
    metric_version: str
    profile: str
    baseline: str  # floor, tag or commit that it was measured against
    baseline_commit: str
    experiment: str
    experiment_commit: str
    changed: list[str]  # one entry a change against the baseline
    selection: RecordedComparison  # the experiment's own verdict, which chose it
    confirmation: RecordedComparison  # fresh seeds on both arms: the numbers to believe
    attempts: int  # confirmations of this idea, this one included
    seeds: Seeds  # of the confirmation
    environment: str
    test: Score | None = None  # on the sealed part
    openings: list[str] = msgspec.field(default_factory=list)  # every earlier opening of that part, by tag
    allowed: str = ""  # why a rule was set aside
    contract: int = 0  # 0 in tags from before there were contracts, whose trees bring a library of their own
    library: str = ""  # version of Assay
    fingerprint: str = ""  # of its sources that trained the strategy
    parameters: list[str] = msgspec.field(default_factory=list)  # those of the strategy as they were read: `lr: 0.003`
    why: str | None = None  # the `-m` of its run; readers of before call a tag with one unverifiable


class Attempted(Event, frozen=True, kw_only=True, tag="attempted"):
    """`attempt/NAME-SEQUENCE`: a confirmation that did not end in a strategy."""

    metric_version: str
    identity: str  # of code, parameters and data: the idea, whatever its experiment is called
    experiment_commit: str
    confirmation: RecordedComparison
    attempts: int
    seeds: Seeds


class Rejected(Event, frozen=True, kw_only=True, tag="rejected"):
    """`rejected/NAME`: points at the experiment, so that it travels and is not collected."""

    why: str
    metric: str = ""
    metric_version: str = ""
    profile: str = ""
    baseline: str = ""
    changed: list[str] = msgspec.field(default_factory=list)
    measured: RecordedComparison | None = None
    tried_for: str | None = None  # the `-m` of its run, as above


class Revoked(Event, frozen=True, kw_only=True, tag="revoked"):
    """`revoked/NAME`: the strategy stays, and is no longer one."""

    why: str
    strategy: str  # hash of the tag object that is revoked
    baseline: str  # what the project goes back to


class Remeasured(Event, frozen=True, kw_only=True, tag="remeasured"):
    """`remeasured/NAME-SEQUENCE`: the strategy stands with a new draw of seeds from here on."""

    why: str
    strategy: str  # hash of the tag object that is measured again
    seeds: Seeds


class Rescored(Event, frozen=True, kw_only=True, tag="rescored"):
    """`rescored/NAME/METRIC-VERSION`: stored predictions under another ruler; `…-SEQUENCE` where it has such a tag.

    Readers of before there were `packages` and `again` call a tag with one of them unverifiable.
    """

    metric: str
    metric_version: str
    predictions: str  # DVC's hash of the folder that was scored
    ruler: str  # commit whose metrics.py it was
    score: Score
    packages: str | None = None  # that the metric imported, with their versions; None where nobody noted them
    again: bool | None = None  # the same version once more, with other packages


#: folder of tags → what stands in it
KINDS: dict[str, type[Event]] = {
    "strategy": Accepted,
    "attempt": Attempted,
    "rejected": Rejected,
    "revoked": Revoked,
    "remeasured": Remeasured,
    "rescored": Rescored,
}


class UnverifiableError(IncomparableError):
    """A tag that bears one of our names but not our evidence, or evidence that was changed."""

    def __init__(self, tag: str, why: str) -> None:
        super().__init__(f"tag {tag} is not verifiable: {why}", hint=f"git cat-file tag {quote(tag)}")
        self.why = why


def is_name(name: str) -> bool:
    """Whether `name` may stand in a tag: a valid Git ref component everywhere, quotable nowhere needed."""
    fits = len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None
    return fits and ".." not in name and not name.endswith(".lock")


def check_spelling(name: str) -> str:
    """`name` itself; UsageError when it is not one."""
    if not is_name(name):
        raise UsageError(f"{name!r} is not a name for a strategy", allowed=NAMES)
    return name


def check_name(name: str) -> str:
    """`name` itself; UsageError when it is not one, or none for a new strategy, as it means something else already."""
    check_spelling(name)
    stem = name.split(".", 1)[0].casefold()
    meaning = "a device, to Windows" if stem in _DEVICES else _MEANINGS.get(name.casefold(), "")
    if _HASH.fullmatch(name):
        meaning = "a commit, to Git"
    if meaning:
        raise UsageError(
            f"{name!r} is not a name for a strategy: it means {meaning}", allowed=NAMES, hint=f"call it {name[:40]}-1"
        )
    return name


def tag_of(event: Event) -> str:
    """The tag that carries `event`, without refs/tags/."""
    folder = next(folder for folder, kind in KINDS.items() if type(event) is kind)
    if isinstance(event, Attempted | Remeasured):
        return f"{folder}/{check_spelling(event.name)}-{event.sequence}"
    if isinstance(event, Rescored):
        number = f"-{event.sequence}" if event.again else ""
        return f"{folder}/{check_spelling(event.name)}/{check_spelling(event.metric_version)}{number}"
    return f"{folder}/{check_spelling(event.name)}"


def kind_of(tag: str) -> type[Event] | None:
    """The kind of event that a tag of this name should carry; None for a tag that is not ours."""
    return KINDS.get(tag.split("/", 1)[0]) if "/" in tag else None
