"""Records that commands print: the rows of `assay log`, the lines of `assay status`.

Covers: their fields, which are also the columns of CSV and the keys of JSON. Not covered: layout on a
screen (`report`).
"""

from __future__ import annotations

import msgspec

from assay.core.schemas import Record


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log: something that was accepted, revoked, tried or rejected. None where unknown."""

    kind: str  # strategy, revocation, attempt, rejected, experiment
    name: str
    date: str = ""
    author: str = ""
    changed: str = ""
    metric: str = ""
    mean: float | None = None
    sd: float | None = None
    n: int | None = None
    delta: float | None = None  # against the baseline of its time, under its own metric version
    ci_low: float | None = None
    ci_high: float | None = None
    baseline: str = ""
    metric_version: str = ""
    test: float | None = None  # mean on the sealed part
    rescored: dict[str, float | None] = msgspec.field(default_factory=dict)  # metric version → mean under it
    state: str = ""
    why: str = ""  # the `-m` of its run
    notes: list[str] = msgspec.field(default_factory=list)  # what was learned, with author and day


class LogRows(Record, frozen=True, kw_only=True):
    """What `assay log --json` prints: rows, newest first."""

    rows: list[LogRow]


class ShowRow(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment of `assay show`. None where unknown."""

    name: str
    changed: list[str] = msgspec.field(default_factory=list)  # `lr: 0.01`, then files
    metric: str = ""
    mean: float | None = None
    sd: float | None = None
    n: int | None = None
    delta: float | None = None  # against the baseline of its time, under its own metric version
    ci_low: float | None = None
    ci_high: float | None = None
    verdict: str = ""  # "" where none was reached, and while it runs or waits
    baseline: str = ""
    metric_version: str = ""
    state: str = ""  # done, running, queued, or why there is no verdict
    stage: str = ""  # of one that runs
    why: str = ""  # the `-m` of its run
    notes: list[str] = msgspec.field(default_factory=list)  # what was learned, with author and day


class ShowRows(Record, frozen=True, kw_only=True):
    """What `assay show --json` prints: running and queued experiments, then comparable groups, the best first."""

    rows: list[ShowRow]


class StatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. An unhealthy one says in `hint` which command makes it healthy."""

    topic: str
    text: str
    hint: str = ""

    @property
    def healthy(self) -> bool:
        return not self.hint


class Status(Record, frozen=True, kw_only=True):
    """What `assay status --json` prints."""

    healthy: bool
    lines: list[StatusLine]
