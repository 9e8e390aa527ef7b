"""A function in a process of its own: what it prints comes back line by line, and nothing of it outlives this process.

The process that is started keeps to watching (`runtime.supervisor`): it forks the one that works, and ends that, with
all that it started, when it is told to or when this process is gone, however that ended. Covers: starting, as a copy or
afresh, what comes back, how it ended. Not covered: whether a copy is safe (`runtime.fork_safety`).
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, cast
from weakref import WeakSet

from assay.runtime import parent_watch, redacted_log, standard_streams, supervisor
from assay.runtime.supervised_command import KILLED

#: bytes of a line without an end that are held back at most
_LONGEST = 65_536
_PIECE = 65_536


class ProcessEnd(NamedTuple):
    """How it ended. `code` is negative where a signal ended it; `left`: processes that it left at work, by name."""

    code: int
    left: list[str]


class _Ends(NamedTuple):
    """The child's ends of its pipes."""

    messages: Connection
    output: Connection
    report: Connection
    life: Connection


#: those that are not stopped yet
_beside: WeakSet[SupervisedProcess] = WeakSet()


class SupervisedProcess:
    """`entry`, as `module:function`, called with (payload, connection to send to) in a process of its own.

    With `fork` that is a copy of this process, else a fresh one, to which `payload` is pickled.
    """

    def __init__(self, entry: str, payload: Any, *, fork: bool) -> None:
        context: Any = multiprocessing.get_context("fork" if fork else "spawn")
        (self._messages, messages), (self._output, output), (self._report, report) = (
            context.Pipe(duplex=False) for _ in range(3)
        )
        life, self._life = context.Pipe(duplex=False)
        # a copy has the ends of processes beside it, too: these would not hear that theirs were closed
        others = [pipe for one in _beside for pipe in one._ours if not pipe.closed] if fork else []
        ends, ours = _Ends(messages, output, report, life), (*self._ours, *others) if fork else ()
        _beside.add(self)
        self._process = context.Process(target=_keep, args=(entry, payload, ends, ours))
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()  # else a copy would write it, too
        try:
            self._process.start()
        except BaseException:
            self.stop()
            raise
        finally:
            for one in ends:
                one.close()
        self._reported: ProcessEnd | None = None
        self._lines = _Lines()
        self._open = [self._messages, self._output, self._report]

    @property
    def end(self) -> ProcessEnd:
        """How it ended, once it has."""
        return self._reported or ProcessEnd(self._process.exitcode or KILLED, [])

    @property
    def _ours(self) -> tuple[Connection, ...]:
        return self._messages, self._output, self._report, self._life

    @property
    def pipes(self) -> list[Connection]:
        """Where something comes from it: to wait for several processes at once."""
        return [*self._open]

    @property
    def over(self) -> bool:
        """Whether it has ended. What it left at work may hold its other pipes open for long."""
        return self._report not in self._open

    def heard(self) -> Iterator[Any]:
        """What it sent, and a `str` for each line that it printed, as far as it is there: of each pipe one at most."""
        for pipe in wait(self._open, 0):
            try:
                yield from self._heard(cast(Connection, pipe), self._lines)
            except (EOFError, OSError):
                self._open.remove(cast(Connection, pipe))

    def last(self) -> Iterator[Any]:
        """What is left to hear of a process that is over; `end` says how it ended."""
        while wait(self._open, 0):
            yield from self.heard()
        yield from self._lines.rest()

    def _heard(self, pipe: Connection, lines: _Lines) -> Iterator[Any]:
        if pipe is self._output:
            yield from lines.take(_read(pipe))
        elif pipe is self._report:
            self._reported = ProcessEnd(*pipe.recv())
        else:
            yield pipe.recv()

    def stop(self) -> None:
        """End it, and all that it started, wherever it stands."""
        _beside.discard(self)
        self._life.close()
        if self._process.pid is not None:
            self._process.join()
        for one in self._ours:
            one.close()


def _read(output: Connection) -> bytes:
    found = os.read(output.fileno(), _PIECE)
    if not found:
        raise EOFError
    return found


class _Lines:
    """Lines of what is printed, as a terminal leaves them: what a carriage return overwrites is gone. Secrets are
    masked."""

    def __init__(self) -> None:
        self._rest = b""
        self._masking = redacted_log.Masking(redacted_log.secrets(os.environ))

    def take(self, piece: bytes) -> Iterator[str]:
        self._rest += self._masking.take(piece)
        *whole, self._rest = self._rest.split(b"\n")
        if len(self._rest) > _LONGEST:
            whole, self._rest = [*whole, self._rest], b""
        yield from map(_text, whole)

    def rest(self) -> Iterator[str]:
        if last := self._rest + self._masking.rest():
            yield _text(last)


def _text(line: bytes) -> str:
    shown = next((part for part in reversed(line.split(b"\r")) if part.strip()), b"")
    return shown.decode("utf-8", "replace").rstrip()


def _keep(entry: str, payload: Any, ends: _Ends, inherited: tuple[Connection, ...]) -> None:
    """The process that watches."""
    for one in inherited:
        one.close()
    os.setsid()  # a Ctrl-C on the terminal is for who started us, and who tells us
    supervisor.adopt_orphans()
    code, left = supervisor.supervise(lambda: _fork(entry, payload, ends), ends.life.fileno())
    with suppress(OSError):  # nobody may be there to read it
        ends.report.send((KILLED if code is None else code, left))
    os._exit(0)


def _fork(entry: str, payload: Any, ends: _Ends) -> int:
    child = os.fork()
    if not child:
        _work(entry, payload, ends)
    ends.messages.close()
    ends.output.close()
    return child


def _work(entry: str, payload: Any, ends: _Ends) -> None:
    """The process that works; it never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for one in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_DFL)
        os.setpgid(0, 0)
        ends.life.close()
        ends.report.close()
        _attach(ends.output)
        parent_watch.hold()
        module, _, name = entry.partition(":")
        work: Callable[[Any, Connection], None] = getattr(importlib.import_module(module), name)
        work(payload, ends.messages)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    finally:
        _leave(code)


def _attach(output: Connection) -> None:
    """Standard streams of this process alone: nothing to read, and what is printed goes to whoever started us."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, number in ((nothing, 0), (output.fileno(), 1), (output.fileno(), 2)):
        os.dup2(source, number)
    output.close()
    handler = standard_streams.HANDLER
    sys.stdout, sys.stderr = (
        open(number, "w", encoding="utf-8", errors=handler, buffering=1, closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )


def _leave(code: int) -> None:
    """At once: a thread that was left running would be waited for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)
