"""`assay watch`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import click

from assay.cli.printing import examples, redraw, show, show_json
from assay.commands.watch_run import ProjectLook, ProjectWatch
from assay.report import sparkline, watch_events, watch_text
from assay.report.watched_run import WatchedExperiment

#: seconds between two looks, between two lines where nothing new is to be said, between two events about progress
LOOK, LINE, PROGRESS = 1.0, 30.0, 5.0


@click.command(epilog=examples("assay watch", "assay watch --json-lines | jq -c 'select(.event == \"replicate\")'"))
@click.option("--json-lines", "as_events", is_flag=True, help="Print events, a JSON object on each line.")
@click.option("--once", is_flag=True, help="Take one look and end.")
def command(as_events: bool, once: bool) -> None:
    """Watch what runs: arms, replicates, curves, time left, use of the machine, share of time waiting for data.

    Reads what a run writes anyway, and changes nothing: Ctrl-C ends the watching, never the run. Ends by itself, with
    the verdict, when nothing runs any more. On a terminal it is redrawn each second, elsewhere whole lines come.
    """
    watch = ProjectWatch(Path.cwd())
    shown: _EventOutput | _ScreenOutput | _LineOutput = (
        _EventOutput() if as_events else _ScreenOutput() if _is_terminal() and not once else _LineOutput()
    )
    while True:
        look = watch.look()
        if once and look.runs:  # how busy processors are is known from the second look on
            time.sleep(LOOK / 2)
            look = watch.look()
        shown.take(look, once=once)
        if once or look.is_idle:
            return
        time.sleep(LOOK)


class _EventOutput:
    """A JSON object for each event."""

    def __init__(self) -> None:
        self._before: dict[str, WatchedExperiment] = {}
        self._told = 0.0
        self._ended = False

    def take(self, look: ProjectLook, *, once: bool) -> None:
        now = time.monotonic()
        due = now - self._told >= PROGRESS
        self._told = now if due else self._told
        found = list(watch_events.of_look(self._before, look.runs, progress=due))
        found += [watch_events.of_end(one.experiment, one.row) for one in look.ended]
        self._ended = self._ended or bool(look.ended)
        if look.is_idle and not self._ended:
            found.append(watch_events.idle())
        self._before = {run.experiment: run for run in look.runs}
        stamp = round(time.time(), 3)
        for event in found:
            show_json(json.dumps({"schema": 1, "time": stamp, **event}, ensure_ascii=False))


class _LineOutput:
    """Whole lines: when a stage begins, when a replicate ends, and every 30 s. With `once` the whole screen's text."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[object, float]] = {}
        self._ended = False

    def take(self, look: ProjectLook, *, once: bool) -> None:
        if once and look.runs:
            size = shutil.get_terminal_size((100, 60))
            show("\n".join(watch_text.screen(look.runs, size.columns, 10_000, _marks())))
            return
        for run in look.working:
            if not run.stage and run.experiment in self._said:
                continue
            self._tell(run.experiment, (run.stage, [(arm.state, arm.ended) for arm in run.arms]), watch_text.line(run))
        if look.commands and not look.working and not look.told:
            self._tell("", look.commands, watch_text.starting(look.commands))
        for one in look.ended:
            self._ended = True
            show(watch_text.ended(one.experiment, one.row))
        if look.is_idle and not self._ended:
            show(watch_text.IDLE)

    def _tell(self, name: str, news: object, text: str) -> None:
        known, said = self._said.get(name, (None, 0.0))
        if news != known or time.monotonic() - said >= LINE:
            self._said[name] = news, time.monotonic()
            show(text)


class _ScreenOutput:
    """A terminal that is redrawn in place; what ended stays above."""

    def __init__(self) -> None:
        self._drawn = 0  # lines
        self._ended = False

    def take(self, look: ProjectLook, *, once: bool) -> None:
        size = shutil.get_terminal_size()
        columns, lines = max(size.columns - 1, 20), max(size.lines - 2, 6)
        for one in look.ended:
            self._ended = True
            self._drawn = redraw(watch_text.ended(one.experiment, one.row), self._drawn, keep=True)
        shown = watch_text.screen(look.working, columns, lines, _marks())
        if not shown and look.commands and not look.told:
            shown = [watch_text.starting(look.commands)[:columns]]
        if look.is_idle:
            shown = [] if self._ended else [watch_text.IDLE]
        if shown or self._drawn:
            self._drawn = redraw("\n".join(shown), self._drawn)


def _is_terminal() -> bool:
    """Whether standard output can be redrawn."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _marks() -> str:
    """Blocks where the encoding of standard output has them."""
    try:
        sparkline.BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return sparkline.PLAIN
    return sparkline.BLOCKS
