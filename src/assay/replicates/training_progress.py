"""What one can watch while training runs: curves as CSV, a log of plain lines, a bar on a terminal, else a line now and
then.

Watching changes nothing: no random number is drawn and no tensor touched here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

from tqdm import tqdm

from assay.core import sanitize_output
from assay.replicates.replicate_result import Outcome, Point, said
from assay.runtime import files, progress_line

QUOTE = '"'
HEADER = "replicate,seed,epoch,train_loss,validation_loss\n"


def row(number: int, seed: int, point: Point, names: Sequence[str] = ()) -> str:
    """One line of the curves; a loss that is not finite stays empty. `names`: columns of other values."""
    values = (point.train, point.validation, *(point.more.get(name, math.nan) for name in names))
    cells = (f"{value:.6g}" if math.isfinite(value) else "" for value in values)
    return f"{number},{seed},{point.epoch},{','.join(cells)}\n"


def header(names: Sequence[str] = ()) -> str:
    """The first line of the curves."""
    cells = (str(sanitize_output.csv_cell(name)) for name in names)
    quoted = (f',"{cell.replace(QUOTE, QUOTE * 2)}"' if set(cell) & {",", QUOTE} else f",{cell}" for cell in cells)
    return HEADER.rstrip("\n") + "".join(quoted) + "\n"


class Watcher(Protocol):
    """Who is told how training goes."""

    def points(self, rows: Sequence[tuple[int, int, Point]]) -> None: ...

    def log(self, line: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


class Only:
    """Tells `watcher` about the replicates `numbers` and no others."""

    def __init__(self, watcher: Watcher, numbers: Sequence[int]) -> None:
        self.watcher = watcher
        self.numbers = numbers
        self.log = watcher.log

    def points(self, rows: Sequence[tuple[int, int, Point]]) -> None:
        self.watcher.points([row for row in rows if row[0] in self.numbers])

    def finished(self, outcome: Outcome) -> None:
        if outcome.number in self.numbers:
            self.watcher.finished(outcome)


class TrainingTime:
    """How far a training is, and how long it may still take; `total` counts the epochs of all replicates."""

    def __init__(self, name: str, replicates: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.replicates, self.total = name, replicates, total
        self._clock, self._began = clock, clock()
        self._epoch: float = 0
        self._seen = self._reused = self._trained = 0

    def trained(self, epochs: int, epoch: float) -> None:
        """So many replicates are through epoch number `epoch`."""
        self._seen += epochs
        self._epoch = epoch

    def finished(self, *, reused: bool) -> None:
        """One replicate is at its end; with `reused` it came from the cache."""
        self._reused += reused
        self._trained += not reused

    def line(self, columns: int) -> str:
        """A bar for a terminal; for `columns` 0 `train: 3 of 10 replicates, 12 s each, about 1 min 24 s left`."""
        done, spent = self._reused + self._trained, self._clock() - self._began
        said = f"{self.name}: {done} of {self.replicates} replicates"
        each = self.total // self.replicates if self.replicates else 0
        running = done < self.replicates and self._epoch
        said += f", epoch {self._epoch} of {each}" if running else ""
        units = max(self._seen, self._trained * each)
        left = (self.total - self._reused * each - units) * spent / units if units else None
        if columns:
            return tqdm.format_meter(
                min(units + self._reused * each, self.total),
                self.total,
                spent,
                ncols=columns - 1,
                prefix=said,
                bar_format="{l_bar}{bar}| {elapsed}" + ("" if left is None or left < 0 else f"<{_clock(left)}"),
            )
        said += f", {progress_line.duration(spent / self._trained)} each" if self._trained else ""
        if left is None or left < 0:
            return f"{said}, {progress_line.duration(spent)} so far"
        return f"{said}, about {progress_line.duration(left)} left"


def _clock(seconds: float) -> str:
    return str(tqdm.format_interval(seconds))


class Progress:
    """Curves and log of one measurement. Every write is whole lines, so a reader never sees half of one."""

    def __init__(
        self,
        curves: Path,
        log: Path,
        total: int,
        say: Callable[[str], None] | None = None,
        *,
        replicates: int = 1,
        name: str = "train",
    ) -> None:
        """`total` epochs of `replicates` together; `name` is what the lines about them begin with."""
        for path in (curves, log):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.curves = curves
        self._curves: IO[str] = curves.open("w", encoding="utf-8")
        self._log: IO[str] = log.open("w", encoding="utf-8")
        self._say = say
        self.keep: Callable[[Outcome], None] = lambda outcome: None
        self._names: list[str] = []
        self._latest: tuple[int, int] | None = None
        self._write(self._curves, HEADER)
        self.done = TrainingTime(name, replicates, total)
        self._shown = ExitStack()
        self._shown.enter_context(progress_line.showing(self.done.line))

    def points(self, rows: Sequence[tuple[int, int, Point]]) -> None:
        """Take the (replicate, seed, point) of one epoch of every lane in training."""
        self._widen([name for _, _, point in rows for name in point.more])
        self._write(self._curves, "".join(row(*one, self._names) for one in rows))
        if rows:
            self.done.trained(len(rows), rows[0][2].epoch)
            train, validation = (
                sum(getattr(point, name) for _, _, point in rows) / len(rows) for name in ("train", "validation")
            )
            who = f"replicate {rows[0][0]}" if len(rows) == 1 else f"{len(rows)} replicates, mean"
            self.log(f"epoch {rows[0][2].epoch}: {who}: train loss {train:.4g}, validation loss {validation:.4g}")

    def said(self, number: int, seed: int, point: Point) -> None:
        """Take what a loop of the task's own says of an epoch; of the same epoch it may say more."""
        self._widen(list(point.more))
        self._write(self._curves, row(number, seed, point, self._names))
        if self._latest != (number, int(point.epoch)):
            self._latest = (number, int(point.epoch))
            self.done.trained(1, int(point.epoch))
        values = ", ".join(f"{name} {value:.4g}" for name, value in said(point))
        self.log(f"epoch {point.epoch}: replicate {number}: {values or 'no values'}")

    def _widen(self, names: Sequence[str]) -> None:
        """Columns for values that no line had before: all lines get them."""
        new = [name for name in dict.fromkeys(names) if name not in self._names]
        if not new:
            return
        self._names += new
        _, *lines = files.read_bytes(self.curves).decode().splitlines()
        self._curves.close()
        files.write_text(self.curves, header(self._names) + "".join(f"{line}{',' * len(new)}\n" for line in lines))
        self._curves = self.curves.open("a", encoding="utf-8")

    def finished(self, outcome: Outcome) -> None:
        """Take a replicate as soon as it is trained, so that it survives whatever happens to the others."""
        if outcome.diverged is not None:
            self.say(outcome.sentence)
        else:
            self.log(outcome.sentence)
        self.done.finished(reused=outcome.reused)
        self.keep(outcome)

    def log(self, line: str) -> None:
        self._write(self._log, line + "\n")

    def say(self, line: str) -> None:
        """A line for the log and for whoever is watching."""
        self.log(line)
        if self._say is not None:
            self._say(line)

    def close(self) -> None:
        self._shown.close()
        self._curves.close()
        self._log.close()

    def rewrite(self, outcomes: Iterable[Outcome]) -> None:
        """The curves of all replicates, in order: also of those that came from the cache."""
        found = [(one.number, one.seed, point) for one in outcomes for point in one.curve]
        names = list(dict.fromkeys(name for *_, point in found for name in point.more))
        files.write_text(self.curves, header(names) + "".join(row(*one, names) for one in found))

    @staticmethod
    def _write(stream: IO[str], text: str) -> None:
        stream.write(text)
        stream.flush()
