"""Records of `assay watch`: a run under way, its arms, and their replicates. None where nobody knows.

Covers: their fields, which are also keys of its events. Not covered: layout (`report.watch_text`), events
(`report.watch_events`), where all of it is read (`commands.watch_arms`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: states of a replicate, and of an arm
WAITING, TRAINING, DONE, CACHED, DIVERGED = "waiting", "training", "done", "cached", "diverged"


@dataclass(frozen=True)
class WatchedPoint:
    """What training said of one replicate after one epoch."""

    replicate: int
    seed: int
    epoch: float
    train_loss: float | None
    validation_loss: float | None
    values: Mapping[str, float]  # others that a loop of its own said


@dataclass(frozen=True)
class WatchedReplicate:
    """One replicate. `curve`: validation loss of its epochs, else what else its loop said."""

    number: int
    state: str
    seed: int | None = None
    epoch: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    seconds: float | None = None
    curve: tuple[float, ...] = ()
    says: str = ""  # the last line of a script


@dataclass(frozen=True)
class WatchedArm:
    """One arm. `planned`: replicates; `epochs`: of each."""

    arm: str  # baseline, candidate
    strategy: str  # the accepted strategy's name, "" for the candidate
    state: str
    planned: int
    epochs: int | None = None
    replicates: tuple[WatchedReplicate, ...] = ()
    seconds_left: float | None = None
    accelerator: int | None = None  # percent busy, at the last epoch
    device_memory: int | None = None  # bytes at most so far, on an accelerator
    data_wait: float | None = None  # share of training time
    new: tuple[WatchedPoint, ...] = ()  # points since the look before

    def count(self, *states: str) -> int:
        return sum(one.state in states for one in self.replicates)

    @property
    def ended(self) -> int:
        return self.count(DONE, CACHED, DIVERGED)


@dataclass(frozen=True)
class WatchedResult:
    """What an ended run measured."""

    verdict: str
    metric: str
    metric_version: str
    baseline: str
    mean: float | None
    delta: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class WatchedRun:
    """One run, as one look found it."""

    experiment: str
    stage: str  # "" between two
    base: str = ""
    changed: tuple[str, ...] = ()  # parameters, as `lr 0.001 → 0.01`
    spent: float | None = None  # seconds so far
    arms: tuple[WatchedArm, ...] = ()
    processors: float | None = None  # busy on average since the look before
    of_processors: int | None = None
    memory: int | None = None  # bytes
