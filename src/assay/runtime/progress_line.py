"""A line about work that takes long: redrawn each second on a terminal, a whole line every 30 s elsewhere.

A thread writes it, so that it comes while a single call takes minutes. The thread holds no lock and touches no object
of the work: the process may be copied meanwhile. Where a command runs the work in a child and keeps what that prints,
the child writes its line into a file, and the command shows it as its own. Covers: when and where to write. Not
covered: what is said of training (`replicates.training_progress`).
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from assay.runtime import standard_streams

#: of the thread
NAME = "progress"
#: seconds between two lines, on a terminal and elsewhere
TERMINAL, ELSEWHERE = 1.0, 30.0
#: seconds to a minute, an hour
_MINUTE, _HOUR = 60, 3600

#: variable of the environment that names the file for the line of a child
FILE = "ASSAY_PROGRESS_FILE"

#: columns of a terminal (0: no terminal) → the line, "" for none
Line = Callable[[int], str]

_off = False


def off() -> None:
    """Never write in this process: a debugger may talk on the same terminal."""
    global _off
    _off = True


@contextmanager
def showing(line: Line) -> Iterator[None]:
    """Write what `line` gives, now and then, until the block ends; nothing stays of it on a terminal."""
    place, relay = _descriptor(), os.environ.get(FILE)
    if _off or (place is None and not relay):
        yield
        return
    ended = threading.Event()
    write = partial(_note, Path(relay)) if relay else partial(_write, place or 0)
    thread = threading.Thread(target=write, args=(line, ended), name=NAME, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def showing_child(name: str) -> Iterator[Mapping[str, str]]:
    """What joins the environment of a child, so that its line is shown after `NAME: ` until the block ends."""
    with tempfile.TemporaryDirectory(prefix="assay-progress-") as folder:
        file = Path(folder) / "line"
        so_far = running(name)

        def line(columns: int) -> str:
            said = file.read_text(encoding="utf-8") if file.is_file() else ""
            return f"{name}: {said}" if said else so_far(columns)

        with showing(line):
            yield {FILE: str(file)}


def running(name: str) -> Line:
    """`prepare: 30 s so far`, of work whose end nobody knows."""
    began = time.monotonic()
    return lambda _columns: f"{name}: {duration(time.monotonic() - began)} so far"


def duration(seconds: float) -> str:
    """`12 s`, `1 min 24 s`, `2 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def _descriptor() -> int | None:
    """That of standard error, None where there is none."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _columns(place: int) -> int:
    """Of the terminal behind a descriptor, 0 where that is none, or one that cannot go back to the start of a line."""
    if not os.isatty(place) or os.environ.get("TERM", "dumb") == "dumb":
        return 0
    try:
        return max(20, os.get_terminal_size(place).columns or 80)
    except OSError:
        return 80


def _write(place: int, line: Line, ended: threading.Event) -> None:
    drawn = False
    while not ended.wait(TERMINAL if (columns := _columns(place)) else ELSEWHERE):
        with suppress(Exception):  # a watcher never ends what it watches
            said = line(columns)
            if said:
                drawn = bool(columns)
                _put(place, f"\r{said[: columns - 1]}\x1b[K" if columns else f"{said}\n")
    if drawn:
        with suppress(OSError):
            _put(place, "\r\x1b[K")


def _note(file: Path, line: Line, ended: threading.Event) -> None:
    """The line as whoever reads the file shows it; replaced at once, so that none is read half. It goes in the end, as
    what comes next may say nothing of itself."""
    while not ended.wait(TERMINAL):
        with suppress(Exception):
            beside = file.with_name(f"{file.name}.{os.getpid()}")
            beside.write_text(line(0), encoding="utf-8")
            beside.replace(file)
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _put(place: int, text: str) -> None:
    """In one call, so that no line is cut by another's."""
    os.write(place, text.encode(getattr(sys.stderr, "encoding", None) or "utf-8", standard_streams.HANDLER))
