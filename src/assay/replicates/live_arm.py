"""Curves and log of an arm while it trains, read by another process from the files that training writes anyway.

Covers: rows and lines as they come, whatever else may stand in these files. What cannot be understood is passed over: a
watcher never ends what it watches. Not covered: writing them (`replicates.training_progress`, `training.data_wait`).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from assay.runtime.appended_lines import AppendedLines

#: how a replicate ended
DONE, REUSED, DIVERGED = "done", "cached", "diverged"
#: columns that every file of curves begins with
_FIRST = ("replicate", "seed", "epoch", "train_loss", "validation_loss")
#: points of one replicate that are kept: beyond, every other one goes
MOST = 2_000

_ENDED = re.compile(r"replicate (\d{1,12}) \(seed (\d{1,12})\): (.+)")
_SECONDS = re.compile(r"(?:^|, )(\d{1,12}(?:\.\d+)?) s(?:,|$)")
_BUSY = re.compile(r"epoch \S+: accelerator (\d{1,3}) % busy, peak memory (\d{1,18}) bytes")
_WAIT = re.compile(r"epoch \S+: (\d{1,3}(?:\.\d+)?) % of the time waiting for data")


class CurvePoint(NamedTuple):
    """What one row of the curves says; NaN where a loss was not finite, or not given."""

    replicate: int
    seed: int
    epoch: float
    train: float
    validation: float
    more: Mapping[str, float]  # other values, by their names

    @property
    def shown(self) -> float:
        """The value that a curve of it shows: validation loss, else training loss, else the first other one."""
        values = (self.validation, self.train, *self.more.values())
        return next((value for value in values if math.isfinite(value)), math.nan)


class ReplicateEnd(NamedTuple):
    """How a replicate ended: `done`, `cached` or `diverged`; seconds where the log has them."""

    seed: int
    how: str
    seconds: float | None


@dataclass
class LiveArm:
    """Files of one arm, and what they have said so far. `read` takes what is new."""

    curves_file: Path
    log_file: Path
    latest: dict[int, float] = field(default_factory=dict)  # replicate → last epoch that was told
    curves: dict[int, list[CurvePoint]] = field(default_factory=dict)  # replicate → points, in their order
    ended: dict[int, ReplicateEnd] = field(default_factory=dict)
    busy: int | None = None  # percent of an accelerator
    device_memory: int | None = None  # bytes, at most so far, of an accelerator
    data_wait: float | None = None  # share of training time

    def __post_init__(self) -> None:
        self._curves, self._log = AppendedLines(self.curves_file), AppendedLines(self.log_file)
        self._names: list[str] | None = None  # columns behind the first ones; None before the header

    @property
    def modified(self) -> float:
        """When either file was written last, in seconds of the epoch; 0 where there is none."""
        return max(self._curves.modified, self._log.modified)

    def read(self) -> list[CurvePoint]:
        """Points that are new; those of a file that was written anew are so where none of them was known."""
        anew, lines = self._log.read()
        if anew:
            self.ended, self.busy, self.device_memory, self.data_wait = {}, None, None, None
        for line in lines:
            self._said(line)
        anew, lines = self._curves.read()
        if anew:
            self.curves, self._names = {}, None
        return [point for line in lines if (point := self._point(line)) is not None and self._is_new(point)]

    def _is_new(self, point: CurvePoint) -> bool:
        """Adds it to its curve. Of an epoch that is said again the last counts, and it is new no more."""
        curve = self.curves.setdefault(point.replicate, [])
        while curve and curve[-1].epoch >= point.epoch:
            curve.pop()
        curve.append(point)
        if len(curve) > MOST:
            del curve[1:-1:2]
        known = self.latest.get(point.replicate, -math.inf)
        self.latest[point.replicate] = max(known, point.epoch)
        return point.epoch > known

    def _point(self, line: str) -> CurvePoint | None:
        if self._names is None:
            self._names = _names(line)
            return None
        try:
            number, seed, *cells = line.split(",")
            epoch, train, validation, *more = (float(cell) if cell else math.nan for cell in cells)
            values = dict(zip(self._names, more, strict=True))
            point = CurvePoint(int(number), int(seed), epoch, train, validation, values)
            return point if 0 <= epoch < math.inf else None
        except ValueError:
            return None

    def _said(self, line: str) -> None:
        if found := _ENDED.fullmatch(line):
            taken = _SECONDS.search(found[3])
            self.ended[int(found[1])] = ReplicateEnd(int(found[2]), _how(found[3]), float(taken[1]) if taken else None)
        elif found := _BUSY.fullmatch(line):
            self.busy, self.device_memory = int(found[1]), int(found[2])
        elif found := _WAIT.fullmatch(line):
            self.data_wait = min(float(found[1]) / 100, 1.0)


def _how(said: str) -> str:
    if said.startswith("diverged"):
        return DIVERGED
    return REUSED if said.endswith("taken from the cache") else DONE


def _names(line: str) -> list[str]:
    """Columns behind the first ones; a header that is none has none."""
    try:
        (cells,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return []
    return cells[len(_FIRST) :] if tuple(cells[: len(_FIRST)]) == _FIRST else []
