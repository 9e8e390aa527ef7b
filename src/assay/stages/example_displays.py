"""Examples as a person sees them, for `evaluate`: drawn here, or by a process that may raise, hang or die.

Inputs that are arrays are drawn here. For a task's show(), and for inputs that other libraries read, a process is
started (`stages.show_examples`); whatever becomes of it is a sentence. Covers: starting it, its time limits, what went
wrong. Not covered: what an example looks like (`data.example_display`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from assay.core import sanitize_output
from assay.core.case_records import ExampleDisplay
from assay.data import example_display, storage
from assay.runtime import files, library_fingerprint, progress_line, task_source
from assay.runtime.stage_setup import StageContext
from assay.runtime.supervised_command import CommandEnd, CommandLine, SupervisedCommand
from assay.stages.show_examples import NONE, ShownExample


class TimeLimits(NamedTuple):
    """Seconds until the first example is drawn, imports included; between two; of all together."""

    first: float = 60.0
    each: float = 10.0
    all: float = 180.0


#: processes that are started one after another, each behind the example that its forerunner ended at
MOST_STARTS = 3
#: characters of what show() prints that are passed on
MOST_PRINTED = 2_000
#: seconds between looks at the answers
_PAUSE = 0.05


class Displays(NamedTuple):
    """What is shown of each row, and sentences about what went wrong."""

    by_row: dict[int, ExampleDisplay]
    notes: list[str]


def of_rows(ctx: StageContext, rows: Sequence[int], limits: TimeLimits | None = None) -> Displays:
    """What is shown of examples at `rows` of the validation part. Raises nothing that a task's show() causes."""
    if not rows:
        return Displays({}, [])
    inputs, manifest = storage.inputs_to_show(ctx.layout.part("validation"))
    if storage.arrow(inputs) is None and task_source.show_part(ctx.layout.root, ctx.params.task.name) is None:
        kind = "" if manifest.kind is msgspec.UNSET else manifest.kind
        arrays = (np.asarray(inputs[row]) for row in rows)
        span = example_display.common_span(array for array in arrays if example_display.is_picture(array))
        return Displays({row: example_display.of_input(inputs[row], span, kind) for row in rows}, [])
    with progress_line.showing(progress_line.running("evaluate: examples")):
        return _ShowProcess(ctx, limits or TimeLimits()).displays(rows)


class _ShowProcess:
    """show_examples at work, started again behind an example that it hung or died at."""

    def __init__(self, ctx: StageContext, limits: TimeLimits) -> None:
        self.root, self.limits = ctx.layout.root, limits
        self.until = time.monotonic() + limits.all
        self.by_row: dict[int, ExampleDisplay] = {}
        self.failed: list[str] = []
        self.notes: list[str] = []

    def displays(self, rows: Sequence[int]) -> Displays:
        left = list(rows)
        for _ in range(MOST_STARTS):
            if not left or not self._run(left):
                break
            left = [row for row in left if row not in self.by_row]
        rest = example_display.not_shown("not shown: show() was given up before")
        self.by_row |= {row: rest for row in rows if row not in self.by_row}
        if self.failed:
            many = f"{len(self.failed)} of {len(rows)} examples are not shown; the first: {self.failed[0]}"
            self.notes.insert(0, many)
        return Displays(self.by_row, self.notes)

    def _run(self, rows: Sequence[int]) -> bool:
        """Draw `rows`; False where another process would not do better."""
        with tempfile.TemporaryDirectory(prefix="assay-show-") as scratch:
            place = Path(scratch)
            ended = self._wait(place, rows)
            self._say(place / "log")
            answers = _read(place / "answers")
        for answer in answers:
            if answer.row == NONE:
                self._give_up(rows, f"examples are not shown: {answer.display.note}")
                return False
            self._note(answer)
        missing = [row for row in rows if row not in self.by_row]
        if missing:
            self._ended_at(missing[0], ended)
        return True

    def _note(self, answer: ShownExample) -> None:
        self.by_row[answer.row] = answer.display
        if answer.failed:
            self.failed.append(str(answer.display.note))

    def _give_up(self, rows: Sequence[int], said: str) -> None:
        self.notes.append(example_display.not_shown(said).note or said)
        self.by_row |= {row: example_display.not_shown("not shown") for row in rows}

    def _ended_at(self, row: int, ended: CommandEnd) -> None:
        first, each, every = self.limits
        said = f"the process of show() ended with code {ended.code}"
        if ended.code is None:
            said = (
                f"show() took too long; allowed: {first:g} s to the first example, {each:g} s each, {every:g} s for all"
            )
        self._note(ShownExample(row, example_display.not_shown(said), failed=True))

    def _wait(self, place: Path, rows: Sequence[int]) -> CommandEnd:
        """How the process ended; one that shows no progress within the limits is ended."""
        request, answers = place / "rows.json", place / "answers"
        files.write_bytes(request, msgspec.json.encode(list(rows)))
        line = shlex.join(library_fingerprint.command("show_examples", str(request), str(answers)))
        process = SupervisedCommand(CommandLine(line, self.root, dict(os.environ), place / "log"))
        size, seen = 0, time.monotonic()
        while True:
            try:
                return process.wait(_PAUSE)
            except subprocess.TimeoutExpired:
                now, grown = time.monotonic(), answers.stat().st_size if answers.is_file() else 0
            if grown > size:
                size, seen = grown, now
            if now - seen > (self.limits.each if size else self.limits.first) or now > self.until:
                process.stop()
                return process.wait()

    def _say(self, log: Path) -> None:
        """Pass on what show() printed."""
        said = log.read_bytes().decode("utf-8", "replace") if log.is_file() else ""
        if said:
            sys.stdout.write(f"{sanitize_output.lines(sanitize_output.cut(said.rstrip(), MOST_PRINTED))}\n")


def _read(path: Path) -> list[ShownExample]:
    """Answers that were written whole."""
    content = path.read_bytes() if path.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    return [msgspec.json.decode(line, type=ShownExample) for line in whole.splitlines()]
